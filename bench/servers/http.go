package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// HTTPServer is one server of somebody else's that answers bid requests: nghttpd
// or nginx.
type HTTPServer struct {
	Addr    string         // stays the same over Kill and Start
	RootCAs *x509.CertPool // those who speak TLS to it trust; its name is "localhost"
	process
}

// Log is what it wrote so far: with nghttpd, every frame.
func (h *HTTPServer) Log() string { return h.output() }

// Nghttpd starts nghttp2's server, which sends bodies back, with further options
// ("--max-concurrent-streams=2"), and stops it with the test.
func Nghttpd(t testing.TB, secure bool, options ...string) *HTTPServer {
	t.Helper()
	h := newHTTPServer(t, "nghttpd")
	_, port, _ := strings.Cut(h.Addr, ":")
	args := append([]string{"--address=127.0.0.1", "--htdocs=" + h.dir, "--echo-upload", "--verbose"}, options...)
	if secure {
		key, certificate := h.certify()
		args = append(args, port, key, certificate)
	} else {
		args = append(args, "--no-tls", port)
	}
	h.command = func() *exec.Cmd { return Command(t, "nghttpd", args...) }
	return h.start()
}

// Nginx starts nginx, with what its server block has to say beside the address,
// and stops it with the test. parameters are those of listen: "http2", "ssl http2".
func Nginx(t testing.TB, parameters, block string) *HTTPServer {
	t.Helper()
	h := newHTTPServer(t, "nginx")
	tls := ""
	if strings.Contains(parameters, "ssl") {
		key, certificate := h.certify()
		tls = fmt.Sprintf("ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.2 TLSv1.3;", certificate, key)
	}
	text := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events { worker_connections 256; }
http {
	access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server { listen %[2]s %[3]s; %[4]s %[5]s }
}
`, h.dir, h.Addr, parameters, tls, block)
	file := filepath.Join(h.dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h.command = func() *exec.Cmd { return Command(t, "nginx", "-e", "stderr", "-p", h.dir, "-c", file) }
	return h.start()
}

func newHTTPServer(t testing.TB, name string) *HTTPServer {
	t.Helper()
	if testing.Short() {
		t.Skip("a real " + name + " is not started in -short")
	}
	h := &HTTPServer{Addr: fmt.Sprintf("127.0.0.1:%d", FreePort(t))}
	h.process = process{t: t, name: name, dir: t.TempDir()}
	h.ready = func() bool { return listens(h.Addr) }
	return h
}

func (h *HTTPServer) start() *HTTPServer {
	h.t.Helper()
	h.Start()
	h.t.Cleanup(h.Kill)
	return h
}

// certify makes a key and a certificate for localhost, as files.
func (h *HTTPServer) certify() (key, certificate string) {
	h.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		h.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		h.t.Fatal(err)
	}
	h.RootCAs = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		h.t.Fatal(err)
	}
	h.RootCAs.AddCert(parsed)
	key, certificate = filepath.Join(h.dir, "key.pem"), filepath.Join(h.dir, "certificate.pem")
	for file, block := range map[string]*pem.Block{key: {Type: "EC PRIVATE KEY", Bytes: secret}, certificate: {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	return key, certificate
}

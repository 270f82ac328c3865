package main

import (
	"bufio"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

//go:embed peer.py
var peerScript []byte

// peer is the child process that measures the C APIs.
type peer struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	folder string
}

type peerAsk struct {
	Trainer string  `json:"trainer"`
	Model   string  `json:"model"`
	Rows    int     `json:"rows"`
	Seconds float64 `json:"seconds"`
}

type peerAnswer struct {
	Nanos    float64   `json:"nanos"`
	Overhead float64   `json:"overhead"`
	Scores   []float64 `json:"scores"`
	Name     string    `json:"name"`
	Error    string    `json:"error"`
}

// startPeer gives the child the whole rows of calls with n candidates.
func startPeer(python string, whole []float32) (*peer, error) {
	folder, err := os.MkdirTemp("", "bench-models-")
	if err != nil {
		return nil, err
	}
	p := &peer{folder: folder}
	script, rows := filepath.Join(folder, "peer.py"), filepath.Join(folder, "rows.f32")
	f, err := os.Create(rows)
	if err == nil {
		err = errors.Join(binary.Write(f, binary.LittleEndian, whole), f.Close(), os.WriteFile(script, peerScript, 0o600))
	}
	if err == nil {
		err = p.start(python, script, rows)
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *peer) start(python, script, rows string) (err error) {
	p.cmd = exec.Command(python, script, rows, strconv.Itoa(split.Columns()))
	p.cmd.Stderr = os.Stderr
	p.cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1")
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.out = bufio.NewReaderSize(out, 1<<16)
	return p.cmd.Start()
}

func (p *peer) ask(q peerAsk) (a peerAnswer, err error) {
	b, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	if _, err = p.in.Write(append(b, '\n')); err != nil {
		return a, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("%s: the child ended: %w", q.Trainer, err)
	}
	if err = json.Unmarshal(line, &a); err != nil {
		return a, fmt.Errorf("%s: %w", q.Trainer, err)
	}
	if a.Error != "" {
		err = errors.New(a.Error)
	}
	return a, err
}

func (p *peer) stop() {
	if p.in != nil {
		p.in.Close()
		p.cmd.Wait()
	}
	os.RemoveAll(p.folder)
}

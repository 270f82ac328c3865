package http2_test

import (
	"bytes"
	"io"
	"testing"

	oracle "golang.org/x/net/http2"

	"millrace/codec/http2"
)

// TestFramesAreWhatTheOracleReads writes every frame that a client sends and has
// x/net read it.
func TestFramesAreWhatTheOracleReads(t *testing.T) {
	var b []byte
	b = http2.AppendFrameHeader(b, 12, http2.Settings, 0, 0)
	b = http2.AppendSetting(b, http2.EnablePush, 0)
	b = http2.AppendSetting(b, http2.InitialWindowSize, 1<<20)
	b = http2.AppendFrameHeader(b, 0, http2.Settings, http2.Ack, 0)
	b = http2.AppendWindowUpdate(b, 0, 77)
	b = http2.AppendWindowUpdate(b, 5, http2.WindowMax)
	b = http2.AppendPing(b, http2.Ack, 0x0102030405060708)
	b = http2.AppendReset(b, 7, http2.Cancel)
	b = http2.AppendGoAway(b, http2.EnhanceYourCalm)
	b = append(http2.AppendFrameHeader(b, 3, http2.Data, http2.EndStream, 9), "abc"...)
	b = append(b, "123456789"...)
	http2.PutFrameHeader(b[len(b)-9:], 0, http2.Headers, http2.EndHeaders, 11)
	framer := oracle.NewFramer(io.Discard, bytes.NewReader(b))
	var got []string
	for {
		f, err := framer.ReadFrame()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch f := f.(type) {
		case *oracle.SettingsFrame:
			if v, ok := f.Value(oracle.SettingInitialWindowSize); f.IsAck() == ok || ok && v != 1<<20 {
				t.Errorf("settings %v", f)
			}
		case *oracle.WindowUpdateFrame:
			if f.StreamID == 0 && f.Increment != 77 || f.StreamID == 5 && f.Increment != http2.WindowMax {
				t.Errorf("window update %v", f)
			}
		case *oracle.PingFrame:
			if f.Data != [8]byte{1, 2, 3, 4, 5, 6, 7, 8} || !f.IsAck() {
				t.Errorf("ping %v", f)
			}
		case *oracle.RSTStreamFrame:
			if f.StreamID != 7 || f.ErrCode != oracle.ErrCodeCancel {
				t.Errorf("reset %v", f)
			}
		case *oracle.GoAwayFrame:
			if f.ErrCode != oracle.ErrCodeEnhanceYourCalm {
				t.Errorf("goaway %v", f)
			}
		case *oracle.DataFrame:
			if string(f.Data()) != "abc" || !f.StreamEnded() || f.StreamID != 9 {
				t.Errorf("data %v", f)
			}
		case *oracle.HeadersFrame:
			if f.StreamID != 11 || !f.HeadersEnded() {
				t.Errorf("headers %v", f)
			}
		}
		got = append(got, f.Header().Type.String())
	}
	if len(got) != 9 {
		t.Errorf("the oracle read %v", got)
	}
}

func TestCodeNames(t *testing.T) {
	for c := range http2.Code(14) {
		if c.String() != oracle.ErrCode(c).String() {
			t.Errorf("%d: %s, want %s", c, c, oracle.ErrCode(c))
		}
	}
	if http2.Code(99).String() == "" {
		t.Error("an unknown code has no name")
	}
}

// wire builds frames that no one should send.
func wire(length int, t http2.Type, flags uint8, stream uint32, payload string) []byte {
	return append(http2.AppendFrameHeader(nil, length, t, flags, stream), payload...)
}

func TestParseFrameFaults(t *testing.T) {
	const padded, priority = 0x8, 0x20
	for _, c := range []struct {
		name string
		b    []byte
		want http2.Code
	}{
		{"too long", wire(http2.FrameBytesMax+1, http2.Data, 0, 1, ""), http2.FrameSizeError},
		{"data on the connection", wire(0, http2.Data, 0, 0, ""), http2.ProtocolError},
		{"headers on the connection", wire(0, http2.Headers, 0, 0, ""), http2.ProtocolError},
		{"continuation on the connection", wire(0, http2.Continuation, 0, 0, ""), http2.ProtocolError},
		{"reset on the connection", wire(4, http2.ResetStream, 0, 0, "0000"), http2.ProtocolError},
		{"settings on a stream", wire(0, http2.Settings, 0, 1, ""), http2.ProtocolError},
		{"settings of 5", wire(5, http2.Settings, 0, 0, "00000"), http2.FrameSizeError},
		{"settings ack with payload", wire(6, http2.Settings, http2.Ack, 0, "000000"), http2.FrameSizeError},
		{"ping of 7", wire(7, http2.Ping, 0, 0, "0000000"), http2.FrameSizeError},
		{"ping on a stream", wire(8, http2.Ping, 0, 1, "00000000"), http2.ProtocolError},
		{"goaway of 7", wire(7, http2.GoAway, 0, 0, "0000000"), http2.FrameSizeError},
		{"goaway on a stream", wire(8, http2.GoAway, 0, 3, "00000000"), http2.ProtocolError},
		{"window update of 5", wire(5, http2.WindowUpdate, 0, 1, "00000"), http2.FrameSizeError},
		{"reset of 3", wire(3, http2.ResetStream, 0, 1, "000"), http2.FrameSizeError},
		{"priority of 4", wire(4, http2.Priority, 0, 1, "0000"), http2.FrameSizeError},
		{"padded without length", wire(0, http2.Data, padded, 1, ""), http2.FrameSizeError},
		{"more padding than payload", wire(3, http2.Data, padded, 1, "\x03ab"), http2.ProtocolError},
		{"headers without its priority", wire(4, http2.Headers, priority, 1, "0000"), http2.FrameSizeError},
		{"more padding than header block", wire(7, http2.Headers, priority|padded, 1, "\x0200000a"), http2.ProtocolError},
	} {
		var f http2.Frame
		if n, code := http2.ParseFrame(c.b, &f); n != 0 || code != c.want {
			t.Errorf("%s: %d, %v, want %v", c.name, n, code, c.want)
		}
	}
	var f http2.Frame
	b := wire(10, http2.Headers, priority|padded, 1, "\x0200000abpp")
	if n, code := http2.ParseFrame(append(b, "more"...), &f); n != len(b) || code != 0 || string(f.Payload) != "ab" || f.Length != 10 {
		t.Errorf("padding and priority: %d, %v, %q", n, code, f.Payload)
	}
	for i := range b {
		if n, code := http2.ParseFrame(b[:i], &f); n != 0 || code != 0 {
			t.Errorf("%d of %d bytes: %d, %v", i, len(b), n, code)
		}
	}
}

func TestCheckSetting(t *testing.T) {
	for _, c := range []struct {
		id http2.SettingID
		v  uint32
	}{
		{http2.EnablePush, 1}, {http2.EnablePush, 2}, {http2.InitialWindowSize, 1 << 31}, {http2.InitialWindowSize, 1<<31 - 1},
		{http2.MaxFrameSize, 1<<14 - 1}, {http2.MaxFrameSize, 1 << 14}, {http2.MaxFrameSize, 1 << 24}, {99, 1 << 31},
	} {
		want := http2.NoError
		if err := (oracle.Setting{ID: oracle.SettingID(c.id), Val: c.v}).Valid(); err != nil {
			want = http2.Code(err.(oracle.ConnectionError))
		}
		if code := http2.CheckSetting(c.id, c.v); code != want {
			t.Errorf("%d = %d: %v, want %v", c.id, c.v, code, want)
		}
	}
}

// FuzzFrame reads what x/net's framer reads, and where it finds a fault so do we.
// (The other way round there are faults that x/net leaves to its connection.)
func FuzzFrame(f *testing.F) {
	f.Add(wire(3, http2.Data, 0x9, 1, "\x01ab"))
	f.Add(wire(10, http2.Headers, 0x2c, 1, "\x0200000abpp"))
	f.Add(wire(6, http2.Settings, 0, 0, "\x00\x04\x00\x01\x00\x00"))
	f.Add(wire(8, http2.GoAway, 0, 0, "\x00\x00\x00\x01\x00\x00\x00\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var fr http2.Frame
		n, code := http2.ParseFrame(b, &fr)
		framer := oracle.NewFramer(io.Discard, bytes.NewReader(b))
		framer.SetMaxReadFrameSize(http2.FrameBytesMax)
		framer.AllowIllegalReads = true
		theirs, err := framer.ReadFrame()
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			if n != 0 && fr.Type != http2.PushPromise {
				t.Fatalf("%d bytes of an incomplete frame read", n)
			}
			return
		}
		if err != nil {
			// Ours leaves to the client what concerns a stream, the values of settings, and
			// types it has no use for.
			_, stream := err.(oracle.StreamError)
			left := fr.Type == http2.WindowUpdate || fr.Type == http2.PushPromise || fr.Type > http2.Continuation
			for i := 0; n > 0 && fr.Type == http2.Settings && i < fr.Length/6; i++ {
				id, v := fr.Setting(i)
				left = left || http2.CheckSetting(id, v) != http2.NoError
			}
			if code == http2.NoError && !stream && !left {
				t.Fatalf("%v read, for which theirs says %v", fr, err)
			}
			return
		}
		if code != 0 {
			return
		}
		if n != http2.FrameHeaderLen+int(theirs.Header().Length) || fr.Stream != theirs.Header().StreamID {
			t.Fatalf("%d bytes, %+v; theirs %v", n, fr, theirs)
		}
		switch theirs := theirs.(type) {
		case *oracle.DataFrame:
			if !bytes.Equal(fr.Payload, theirs.Data()) {
				t.Fatalf("data %q, want %q", fr.Payload, theirs.Data())
			}
		case *oracle.HeadersFrame:
			if !bytes.Equal(fr.Payload, theirs.HeaderBlockFragment()) {
				t.Fatalf("block %q, want %q", fr.Payload, theirs.HeaderBlockFragment())
			}
		case *oracle.SettingsFrame:
			for i := range fr.Length / 6 {
				id, v := fr.Setting(i)
				if s := theirs.Setting(i); uint16(s.ID) != uint16(id) || s.Val != v {
					t.Fatalf("setting %d: %d = %d, want %v", i, id, v, s)
				}
			}
		}
	})
}

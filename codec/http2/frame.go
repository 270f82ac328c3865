package http2

import "encoding/binary"

// Type is a frame's type.
type Type uint8

// Types of frames (RFC 9113, section 6).
const (
	Data         Type = 0
	Headers      Type = 1
	Priority     Type = 2
	ResetStream  Type = 3
	Settings     Type = 4
	PushPromise  Type = 5
	Ping         Type = 6
	GoAway       Type = 7
	WindowUpdate Type = 8
	Continuation Type = 9
)

// Flags.
const (
	EndStream   uint8 = 0x1
	Ack         uint8 = 0x1
	EndHeaders  uint8 = 0x4
	padded      uint8 = 0x8
	hasPriority uint8 = 0x20
)

// Code is an error code (RFC 9113, section 7).
type Code uint32

// Error codes.
const (
	NoError            Code = 0x0
	ProtocolError      Code = 0x1
	InternalError      Code = 0x2
	FlowControlError   Code = 0x3
	SettingsTimeout    Code = 0x4
	StreamClosed       Code = 0x5
	FrameSizeError     Code = 0x6
	RefusedStream      Code = 0x7
	Cancel             Code = 0x8
	CompressionError   Code = 0x9
	ConnectError       Code = 0xa
	EnhanceYourCalm    Code = 0xb
	InadequateSecurity Code = 0xc
	HTTP11Required     Code = 0xd
)

// SettingID names a setting.
type SettingID uint16

// Settings (RFC 9113, section 6.5.2).
const (
	HeaderTableSize      SettingID = 1
	EnablePush           SettingID = 2
	MaxConcurrentStreams SettingID = 3
	InitialWindowSize    SettingID = 4
	MaxFrameSize         SettingID = 5
	MaxHeaderListSize    SettingID = 6
)

const (
	// FrameHeaderLen is the length of a frame's header.
	FrameHeaderLen = 9
	// FrameBytesMax is the longest payload a peer may send, and be sent, unless
	// settings say otherwise.
	FrameBytesMax = 1 << 14
	// WindowInitial is the window of connections, and of streams unless settings
	// say otherwise.
	WindowInitial = 1<<16 - 1
	// WindowMax is the largest window.
	WindowMax = 1<<31 - 1
	// StreamMax is the largest stream identifier.
	StreamMax = 1<<31 - 1
	// Preface is what a client sends first; a SETTINGS frame follows.
	Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// Frame is one frame. Payload is without padding and priority; Length is what
// came, and what counts for flow control.
type Frame struct {
	Type    Type
	Flags   uint8
	Stream  uint32
	Length  int
	Payload []byte
}

// Has tells whether a flag is set.
func (f *Frame) Has(flag uint8) bool { return f.Flags&flag != 0 }

// ParseFrame reads the frame at the start of b. n is its length with its header, 0
// while b holds less than the frame. A code other than NoError is a fault that
// ends the connection; what is judged is what can be without knowing streams:
// sizes, padding, and which frames belong to a stream or to the connection.
func ParseFrame(b []byte, f *Frame) (n int, code Code) {
	if len(b) < FrameHeaderLen {
		return 0, NoError
	}
	head := binary.BigEndian.Uint32(b)
	f.Length = int(head >> 8)
	f.Type, f.Flags = Type(head), b[4]
	f.Stream = binary.BigEndian.Uint32(b[5:]) & StreamMax
	if f.Length > FrameBytesMax {
		return 0, FrameSizeError
	}
	if code = f.check(); code != NoError {
		return 0, code
	}
	if n = FrameHeaderLen + f.Length; len(b) < n {
		return 0, NoError
	}
	f.Payload = b[FrameHeaderLen:n:n]
	if f.Type == Data || f.Type == Headers {
		if code = f.trim(); code != NoError {
			return 0, code
		}
	}
	return n, NoError
}

// frameRule is what a type's frames have to be like.
type frameRule struct {
	stream   streamRule
	length   int // exactly; −1 any
	multiple int // of this
}

type streamRule uint8

const (
	either streamRule = iota
	onStream
	onConnection
)

var frameRules = [...]frameRule{
	Data:         {onStream, -1, 1},
	Headers:      {onStream, -1, 1},
	Priority:     {onStream, 5, 1},
	ResetStream:  {onStream, 4, 1},
	Settings:     {onConnection, -1, 6},
	PushPromise:  {onStream, -1, 1},
	Ping:         {onConnection, 8, 1},
	GoAway:       {onConnection, -1, 1},
	WindowUpdate: {either, 4, 1},
	Continuation: {onStream, -1, 1},
}

func (f *Frame) check() Code {
	if int(f.Type) >= len(frameRules) {
		return NoError // of an unknown type: to be ignored
	}
	rule := &frameRules[f.Type]
	switch {
	case rule.stream == onStream && f.Stream == 0, rule.stream == onConnection && f.Stream != 0:
		return ProtocolError
	case rule.length >= 0 && f.Length != rule.length, f.Length%rule.multiple != 0,
		f.Type == GoAway && f.Length < 8,
		f.Type == Settings && f.Has(Ack) && f.Length != 0:
		return FrameSizeError
	}
	return NoError
}

// trim cuts padding and priority from the payload.
func (f *Frame) trim() Code {
	pad := 0
	if f.Has(padded) {
		if len(f.Payload) == 0 {
			return FrameSizeError
		}
		pad = int(f.Payload[0])
		f.Payload = f.Payload[1:]
	}
	if f.Type == Headers && f.Has(hasPriority) {
		if len(f.Payload) < 5 {
			return FrameSizeError
		}
		f.Payload = f.Payload[5:]
	}
	if pad > len(f.Payload) {
		return ProtocolError
	}
	f.Payload = f.Payload[:len(f.Payload)-pad]
	return NoError
}

// Uint32 is the payload's word at an offset: a code, an increment, a stream.
func (f *Frame) Uint32(at int) uint32 { return binary.BigEndian.Uint32(f.Payload[at:]) }

// Setting is the i-th setting of a SETTINGS frame, which has Length/6 of them.
func (f *Frame) Setting(i int) (SettingID, uint32) {
	b := f.Payload[6*i:]
	return SettingID(binary.BigEndian.Uint16(b)), binary.BigEndian.Uint32(b[2:])
}

// CheckSetting judges a setting's value (RFC 9113, section 6.5.2).
func CheckSetting(id SettingID, v uint32) Code {
	switch {
	case id == EnablePush && v > 1, id == MaxFrameSize && (v < FrameBytesMax || v > 1<<24-1):
		return ProtocolError
	case id == InitialWindowSize && v > WindowMax:
		return FlowControlError
	}
	return NoError
}

// AppendFrameHeader appends a frame's header; length bytes are to follow.
func AppendFrameHeader(dst []byte, length int, t Type, flags uint8, stream uint32) []byte {
	return append(dst, byte(length>>16), byte(length>>8), byte(length), byte(t), flags,
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

// PutFrameHeader writes a header over the FrameHeaderLen bytes at the start of b.
func PutFrameHeader(b []byte, length int, t Type, flags uint8, stream uint32) {
	_ = AppendFrameHeader(b[:0:FrameHeaderLen], length, t, flags, stream)
}

// AppendReset appends RST_STREAM.
func AppendReset(dst []byte, stream uint32, code Code) []byte {
	return binary.BigEndian.AppendUint32(AppendFrameHeader(dst, 4, ResetStream, 0, stream), uint32(code))
}

// AppendWindowUpdate appends WINDOW_UPDATE; stream 0 is the connection.
func AppendWindowUpdate(dst []byte, stream uint32, increment int) []byte {
	return binary.BigEndian.AppendUint32(AppendFrameHeader(dst, 4, WindowUpdate, 0, stream), uint32(increment))
}

// AppendPing appends PING, or its answer with the flag Ack.
func AppendPing(dst []byte, flags uint8, data uint64) []byte {
	return binary.BigEndian.AppendUint64(AppendFrameHeader(dst, 8, Ping, flags, 0), data)
}

// AppendGoAway appends GOAWAY: a client tells of the last pushed stream, none.
func AppendGoAway(dst []byte, code Code) []byte {
	dst = AppendFrameHeader(dst, 8, GoAway, 0, 0)
	return binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 0), uint32(code))
}

// AppendSetting appends one setting to the payload of a SETTINGS frame.
func AppendSetting(dst []byte, id SettingID, v uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(dst, uint16(id)), v)
}

var codeNames = [...]string{
	NoError: "NO_ERROR", ProtocolError: "PROTOCOL_ERROR", InternalError: "INTERNAL_ERROR",
	FlowControlError: "FLOW_CONTROL_ERROR", SettingsTimeout: "SETTINGS_TIMEOUT", StreamClosed: "STREAM_CLOSED",
	FrameSizeError: "FRAME_SIZE_ERROR", RefusedStream: "REFUSED_STREAM", Cancel: "CANCEL",
	CompressionError: "COMPRESSION_ERROR", ConnectError: "CONNECT_ERROR", EnhanceYourCalm: "ENHANCE_YOUR_CALM",
	InadequateSecurity: "INADEQUATE_SECURITY", HTTP11Required: "HTTP_1_1_REQUIRED",
}

// String is the code's name in RFC 9113.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "an unknown code"
}

package campaign

// Device types of AdCOM 1.0 / OpenRTB 2.6 5.21 by name. "mobile" is all that
// is carried around: exchanges send 1, 4 and 5 for the same phone.
var deviceTypes = []struct {
	name   string
	values []uint32
}{
	{"mobile", []uint32{1, 4, 5}},
	{"mobile_tablet", []uint32{1}},
	{"desktop", []uint32{2}},
	{"pc", []uint32{2}},
	{"connected_tv", []uint32{3}},
	{"ctv", []uint32{3}},
	{"tv", []uint32{3, 7}},
	{"phone", []uint32{4}},
	{"tablet", []uint32{5}},
	{"connected_device", []uint32{6}},
	{"set_top_box", []uint32{7}},
	{"ooh", []uint32{8}},
}

const deviceTypeLast = 8

// Operating systems by AdCOM 1.0 number (List: Operating Systems). Numbers from
// 100 are ours, for systems that came later.
var operatingSystems = []struct {
	number uint32
	name   string   // as in the catalog
	also   []string // other spellings, as osKey writes them
}{
	{2, "android", nil},
	{13, "ios", []string{"iphoneos", "ipados", "iphone", "ipad"}},
	{28, "windows", []string{"win", "windowsphone", "windowsnt", "windowsmobile"}},
	{15, "macos", []string{"osx", "macosx", "mac", "macintosh"}},
	{14, "linux", []string{"ubuntu", "gnulinux"}},
	{8, "chromeos", []string{"cros", "chromiumos"}},
	{10, "fireos", []string{"amazonfireos"}},
	{25, "tizen", nil},
	{27, "webos", []string{"webostv"}},
	{3, "tvos", []string{"appletv", "appletvsoftware"}},
	{26, "watchos", nil},
	{100, "roku", []string{"rokuos"}},
	{101, "kaios", nil},
	{102, "harmonyos", nil},
	{103, "freebsd", nil},
	{1, "3ds", []string{"3dssystemsoftware", "nintendods"}},
	{4, "asha", nil},
	{5, "bada", nil},
	{6, "blackberry", []string{"blackberryos", "rimos"}},
	{7, "brew", nil},
	{9, "darwin", nil},
	{11, "firefoxos", nil},
	{12, "helenos", nil},
	{16, "meego", nil},
	{17, "morphos", nil},
	{18, "netbsd", nil},
	{19, "nucleusplus", nil},
	{20, "psvita", []string{"psvitasystemsoftware"}},
	{21, "ps3", []string{"ps3systemsoftware", "playstation3"}},
	{22, "ps4", []string{"ps4software", "playstation4", "orbisos"}},
	{23, "psp", []string{"pspsystemsoftware"}},
	{24, "symbian", []string{"symbianos"}},
}

const osLast = 103

var osByKey = func() map[string]uint32 {
	m := map[string]uint32{}
	for _, o := range operatingSystems {
		m[o.name] = o.number
		for _, a := range o.also {
			m[a] = o.number
		}
	}
	return m
}()

// parseOS reads a name in any spelling ("Mac OS X", "iOS 17.2", "android"); 0
// is "not known". scratch is for the key.
func parseOS[T string | []byte](scratch []byte, text T) (uint32, []byte) {
	key := scratch[:0]
	for i := range len(text) {
		c := text[i]
		switch {
		case 'A' <= c && c <= 'Z':
			key = append(key, c|0x20)
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			key = append(key, c)
		}
	}
	if os, ok := osByKey[string(key)]; ok {
		return os, key
	}
	end := len(key)
	for end > 0 && '0' <= key[end-1] && key[end-1] <= '9' {
		end--
	}
	return osByKey[string(key[:end])], key
}

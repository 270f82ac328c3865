package campaign

// Words of targeting, for other files that speak of the same things (the demand
// side's): one spelling everywhere. The Read functions say what is wrong with a
// word and what to write instead; problem is "" if nothing is.

// Countries and DeviceTypes are one past the highest numbers there are.
const (
	Countries   = countriesMax
	DeviceTypes = deviceTypeLast + 1
)

// CountryOf numbers a country by its ISO 3166-1 code, alpha-3 or alpha-2 in any
// case; 0 is "not known".
func CountryOf[T string | []byte](code T) uint8 { return uint8(parseCountry(code)) }

// ReadCountry is the number of a country.
func ReadCountry(text string) (number uint8, problem, remedy string) {
	_, problem, remedy = readCountry(nil, text, nil)
	return CountryOf(text), problem, remedy
}

// ReadDeviceTypes are the OpenRTB numbers that a device type's name stands for.
func ReadDeviceTypes(text string) (numbers []uint32, problem, remedy string) {
	return readDevice(nil, text, nil)
}

// ParseSize reads a size like 300x250.
func ParseSize(text string) (z Size, ok bool) { return parseSize(text) }

// Hours are hours of the week, from Monday's first.
type Hours struct{ open hours }

// Parse adds the hours of a text like "mon-fri 8-20", "sat,sun" or "22-6"; the
// last hour is not included. It is false if the text is none.
func (h *Hours) Parse(text string) bool { return parseHours(text, &h.open) }

// Has reports whether an hour, from 0, is one of them.
func (h *Hours) Has(hour int) bool { return h.open.has(hour) }

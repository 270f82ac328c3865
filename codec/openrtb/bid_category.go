package openrtb

// InCategory reports whether a category is another of the same taxonomy or
// below it. In IAB 1.0 the code says so: IAB1-3 is below IAB1. In the numeric
// ones the published table does, where we have it; else only equal codes are
// one category.
func InCategory(tax CategoryTaxonomy, cat, of []byte) bool {
	if len(of) == 0 {
		return false
	}
	if sameFold(cat, of) {
		return true
	}
	return tax == IABContent10 && len(cat) > len(of) && sameFold(cat[:len(of)], of) && cat[len(of)] == '-'
}

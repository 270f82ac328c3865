// Command explore measures what exploration costs and brings, in a world whose
// click rates are known.
//
//	go run ./bench/explore                        # the table
//	go run ./bench/explore -svg regret.svg        # and the curves
//
// Ads come and go; each has a true click rate that no policy is told. A request
// offers some of them, the policy shows one, and a click happens with that ad's
// rate. Regret is what always showing the best of those offered would have
// earned more. All policies meet the same ads, the same requests and believe the
// same prior, fitted from the counts of ads that are gone; all run the
// production Explorer (models/coldstart). Figures are means over seeds, with
// their standard error; the same seeds give the same figures on every machine
// of one architecture.
package main

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"millrace/codec/openrtb"
)

// inputError is input that could not be read: status 2, as a wrong call.
type inputError struct{ error }

func (e inputError) Unwrap() error { return e.error }

func openrtbCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "openrtb",
		Short:   "Work with OpenRTB documents",
		Example: "  millrace openrtb check requests.jsonl",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(openrtbCheckCommand())
	return c
}

// checkOptions are the flags of openrtb check.
type checkOptions struct {
	response bool
	request  string
	errors   bool
	json     bool
	policy   openrtb.Policy
}

func openrtbCheckCommand() *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check FILE|-",
		Short: "Check bid requests and responses, list what is wrong and what to do",
		Long: `Checks OpenRTB 2.5 and 2.6 bid requests and responses (- is standard input): one
document, or one a line. What a document is shows by its members: imp makes it a
request, seatbid, nbr or bidid a response, and an object with both request and
response (and perhaps status) an exchange, whose bids are held against its
request.

Each finding names file and line, the path of the value, its severity, the rule by
number (docs/openrtb.md lists them) and a remedy. An error is refused, left out
or dropped by this server; a warning is read, but hardly meant.

Memory does not grow with the file, only with its largest document (8 MiB).

Exit status: 0 when nothing is found, 1 when something is, 2 when the command was
called wrongly or the file could not be read.`,
		Example: `  millrace openrtb check requests.jsonl
  millrace openrtb check --json requests.jsonl | jq 'select(.severity=="error")'
  curl -s https://bidder.example/bid -d @request.json | millrace openrtb check --request request.json -
  millrace openrtb check --errors --require-crid exchanges.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return checkOpenRTB(c, args[0], &o) },
	}
	f := c.Flags()
	f.BoolVar(&o.response, "response", false, "the documents are responses")
	f.StringVar(&o.request, "request", "", "`FILE` with the request that the responses answer: their bids are judged by it")
	f.BoolVar(&o.errors, "errors", false, "errors only, no warnings")
	f.BoolVar(&o.json, "json", false, "as JSON: one finding a line, then a summary")
	f.BoolVar(&o.policy.RequireCRID, "require-crid", false, "a bid without crid is an error (rule 7)")
	f.BoolVar(&o.policy.RequireADomain, "require-adomain", false, "a bid without adomain is an error (rule 11)")
	f.BoolVar(&o.policy.OpenUnknownDeals, "open-unknown-deals", false, "a bid on a deal that was not offered is an open bid (rule 10)")
	return c
}

// checkFinding is a line of the report.
type checkFinding struct {
	File     string `json:"file"`
	Document int    `json:"document"` // from 1
	Kind     string `json:"kind"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Path     string `json:"path"`
	Severity string `json:"severity"`
	Rule     int    `json:"rule"`
	Message  string `json:"message"`
	Remedy   string `json:"remedy"`
}

// checkSummary ends the report.
type checkSummary struct {
	File      string `json:"file"`
	Documents int    `json:"documents"`
	Requests  int    `json:"requests"`
	Responses int    `json:"responses"`
	Errors    int    `json:"errors"`
	Warnings  int    `json:"warnings"`
}

// openrtbCheck is one run of the command.
type openrtbCheck struct {
	o       *checkOptions
	out     *bufio.Writer
	request []byte
	checker openrtb.Checker
	sum     checkSummary
	err     error
}

func newOpenRTBCheck(o *checkOptions, out io.Writer, file string) *openrtbCheck {
	return &openrtbCheck{o: o, out: bufio.NewWriter(out), sum: checkSummary{File: file}}
}

func checkOpenRTB(c *cobra.Command, file string, o *checkOptions) error {
	k := newOpenRTBCheck(o, c.OutOrStdout(), file)
	if o.request != "" {
		if o.request == "-" && file == "-" {
			return usageError{fmt.Errorf("--request -: standard input is the responses already; name a file")}
		}
		request, err := readRequest(o.request, c.InOrStdin())
		if err != nil {
			return err
		}
		k.request = request
	}
	in := c.InOrStdin()
	if file == "-" {
		k.sum.File = "standard input"
	} else {
		f, err := os.Open(file)
		if err != nil {
			return inputError{fmt.Errorf("cannot read the documents: %w", err)}
		}
		defer f.Close()
		in = f
	}
	if err := k.run(in); err != nil {
		return err
	}
	if k.sum.Errors+k.sum.Warnings > 0 {
		return errReported
	}
	return nil
}

func readRequest(file string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, inputError{fmt.Errorf("cannot read the request: %w", err)}
		}
		defer f.Close()
		in = f
	}
	request, err := io.ReadAll(io.LimitReader(in, documentMax+1))
	switch {
	case err != nil:
		return nil, inputError{fmt.Errorf("cannot read the request: %w", err)}
	case len(request) > documentMax:
		return nil, inputError{fmt.Errorf("%s: larger than %d MiB: name a file with one request", file, documentMax>>20)}
	}
	var r openrtb.BidRequest
	if e := openrtb.Parse(request, &r); !e.OK() {
		return nil, inputError{fmt.Errorf("%s is no request to judge bids by: %v; millrace openrtb check %s says more", file, e, file)}
	}
	return request, nil
}

func (k *openrtbCheck) run(in io.Reader) error {
	d := newDocuments(in)
	for d.next() {
		k.sum.Documents++
		if d.tooLong {
			k.tell("document", d, []openrtb.Finding{{Severity: openrtb.Fault, Rule: 5, Message: fmt.Sprintf("larger than %d MiB, and not looked at", documentMax>>20), Remedy: "send smaller documents, one a line"}}, 0)
			continue
		}
		k.document(d)
	}
	if d.err != nil {
		k.out.Flush()
		return inputError{fmt.Errorf("reading %s after line %d: %w", k.sum.File, d.line, d.err)}
	}
	if k.sum.Documents == 0 {
		k.out.Flush()
		return inputError{fmt.Errorf("%s: no document in it", k.sum.File)}
	}
	if k.o.json {
		k.line(k.sum)
	} else {
		fmt.Fprintf(k.out, "%s: %d documents (%d requests, %d responses), %d errors, %d warnings\n",
			k.sum.File, k.sum.Documents, k.sum.Requests, k.sum.Responses, k.sum.Errors, k.sum.Warnings)
	}
	if err := k.out.Flush(); k.err == nil {
		k.err = err
	}
	return k.err
}

// members are what tells the kinds of documents apart.
type members struct {
	Imp, SeatBid, NBR, BidID json.RawMessage
	Request, Response        json.RawMessage
	Status                   *int
}

// document checks one, by what it is.
func (k *openrtbCheck) document(d *documents) {
	var m members
	if json.Unmarshal(d.text, &m) != nil {
		// Broken, or with NaN in it: the parser of what it looks like tells.
		if bytes.Contains(d.text, []byte(`"seatbid"`)) && !bytes.Contains(d.text, []byte(`"imp"`)) {
			m.SeatBid = d.text
		}
	}
	switch {
	case !k.o.response && k.o.request == "" && m.Request != nil && (m.Response != nil || m.Status != nil):
		k.exchange(d, &m)
	case k.o.response || k.o.request != "" || m.Imp == nil && (m.SeatBid != nil || m.NBR != nil || m.BidID != nil):
		k.sum.Responses++
		k.tell("response", d, k.checker.Response(200, d.text, k.request, &k.o.policy), 0)
	default:
		k.sum.Requests++
		k.tell("request", d, k.checker.Request(d.text), 0)
	}
}

func (k *openrtbCheck) exchange(d *documents, m *members) {
	k.sum.Requests++
	k.tell("request", d, k.checker.Request(m.Request), bytes.Index(d.text, m.Request))
	k.sum.Responses++
	status := 200
	if m.Status != nil {
		status = *m.Status
	}
	request := []byte(m.Request)
	if r := new(openrtb.BidRequest); !openrtb.Parse(request, r).OK() {
		request = nil // told already
	}
	k.tell("response", d, k.checker.Response(status, m.Response, request, &k.o.policy), max(bytes.LastIndex(d.text, m.Response), 0))
}

// tell writes findings; from is where the document begins in d.
func (k *openrtbCheck) tell(kind string, d *documents, findings []openrtb.Finding, from int) {
	for i := range findings {
		f := &findings[i]
		if f.Severity == openrtb.Warning {
			if k.o.errors {
				continue
			}
			k.sum.Warnings++
		} else {
			k.sum.Errors++
		}
		line, column := d.position(from + f.Offset)
		x := checkFinding{k.sum.File, k.sum.Documents, kind, line, column, f.Path, f.Severity.String(), f.Rule, f.Message, f.Remedy}
		if k.o.json {
			k.line(x)
			continue
		}
		path := x.Path
		if path == "" {
			path = "the " + kind
		}
		fmt.Fprintf(k.out, "%s:%d:%d: %s: %s: %s (rule %d)\n    %s\n", x.File, line, column, x.Severity, path, x.Message, x.Rule, x.Remedy)
	}
}

func (k *openrtbCheck) line(v any) {
	enc := json.NewEncoder(k.out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil && k.err == nil {
		k.err = err
	}
}

// Command millrace is the one binary of Millrace.
//
//	millrace serve               answer ad requests
//	millrace demo                serve a lively catalog, drive it, show it live
//	millrace loadgen             drive a server and measure it
//	millrace dsp                 mock bidders to call
//	millrace demand check        find every fault of a demand file
//	millrace demand status       how the bidders do
//	millrace campaigns check     find every fault of a catalog file
//	millrace config print        the effective configuration
//	millrace doctor              is this machine fit to serve?
//	millrace version
//
// Exit status: 0 when all went well; 1 when the command failed or found what it
// looks for (faults, failed checks); 2 when it was called wrongly. Answers go
// to stdout, logs and complaints to stderr.
package main

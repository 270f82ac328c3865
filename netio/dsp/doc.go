// Package dsp is the bid client: requests to many endpoints over pooled HTTP/2 and
// HTTP/1.1 connections that one shard owns.
package dsp

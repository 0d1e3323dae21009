// SPDX-License-Identifier: GPL-3.0-or-later

// A client that asks all the time: so many requests each second, each over a new connection, whatever becomes of the ones
// before. It ends when its input does, and says then what it saw as one JSON object: every request that was not answered with
// 200, with the time it began, and how long the others took.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"sync"
	"time"
)

type failure struct {
	At      float64 `json:"at"`      // Unix seconds at which the request began
	Seconds float64 `json:"seconds"` // until it was given up
	URL     string  `json:"url"`
	Error   string  `json:"error"`
}

type summary struct {
	Started  float64   `json:"started"`
	Ended    float64   `json:"ended"`
	Requests int       `json:"requests"`
	Median   float64   `json:"median"` // milliseconds of the good ones
	P99      float64   `json:"p99"`
	Longest  float64   `json:"longest"`
	Skipped  int       `json:"skipped"` // not begun in time, because this machine was too busy
	Failures []failure `json:"failures"`
}

type record struct {
	sync.Mutex
	took     []float64
	failures []failure
}

func unix(moment time.Time) float64 { return float64(moment.UnixMicro()) / 1e6 }

func (r *record) note(began time.Time, url string, err error) {
	took := time.Since(began)
	r.Lock()
	defer r.Unlock()
	if err != nil {
		r.failures = append(r.failures, failure{unix(began), took.Seconds(), url, err.Error()})
		return
	}
	r.took = append(r.took, float64(took.Microseconds())/1e3)
}

func ask(client *http.Client, url string) error {
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return nil
}

func quantile(sorted []float64, part float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(part*float64(len(sorted)-1))]
}

func main() {
	rate := flag.Int("rate", 250, "requests in a second")
	timeout := flag.Duration("timeout", 3*time.Second, "when an answer is late")
	flag.Parse()
	urls := flag.Args()
	if len(urls) == 0 || *rate < 1 {
		fmt.Fprintln(os.Stderr, "usage: load [-rate N] [-timeout T] URL...")
		os.Exit(2)
	}
	dialer := net.Dialer{Timeout: *timeout}
	// No connection is used twice: a route is chosen for each.
	client := &http.Client{Timeout: *timeout, Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext}}
	ctx, stop := context.WithCancel(context.Background())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); stop() }()

	var (
		seen    record
		running sync.WaitGroup
		asked   int
	)
	started := time.Now()
	fmt.Fprintln(os.Stderr, "started")
	for ctx.Err() == nil {
		due := started.Add(time.Duration(asked) * time.Second / time.Duration(*rate))
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		url := urls[asked%len(urls)]
		asked++
		running.Add(1)
		go func() {
			defer running.Done()
			began := time.Now()
			seen.note(began, url, ask(client, url))
		}()
	}
	ended := time.Now()
	running.Wait()
	sort.Float64s(seen.took)
	sort.Slice(seen.failures, func(a, b int) bool { return seen.failures[a].At < seen.failures[b].At })
	due := int(ended.Sub(started).Seconds() * float64(*rate))
	result := summary{
		Started: unix(started), Ended: unix(ended), Requests: asked, Failures: seen.failures, Skipped: max(0, due-asked),
		Median: quantile(seen.took, 0.5), P99: quantile(seen.took, 0.99), Longest: quantile(seen.took, 1),
	}
	if result.Failures == nil {
		result.Failures = []failure{}
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		os.Exit(1)
	}
}

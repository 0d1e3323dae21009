// SPDX-License-Identifier: GPL-3.0-or-later

// A web server that says who asked and who answered: the client's address and port as the server sees them, and the
// server's own pod and node, in the body for people and in headers for programs.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const listen = ":8080"

// Longer than it takes a node to learn that this pod is gone, shorter than the pod's grace period.
const drain = 5 * time.Second

func answer(pod, node string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Type", "text/plain; charset=utf-8")
		header.Set("X-Pod-Name", pod)
		header.Set("X-Node-Name", node)
		fmt.Fprintf(w, "client %s\npod %s\nnode %s\n", r.RemoteAddr, pod, node)
	}
}

func serve(server *http.Server) error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-stop.Done():
	}
	deadline, done := context.WithTimeout(context.Background(), drain)
	defer done()
	return server.Shutdown(deadline)
}

func main() {
	pod, node := os.Getenv("POD_NAME"), os.Getenv("NODE_NAME")
	if pod == "" || node == "" {
		log.Fatal("POD_NAME and NODE_NAME must be set (the downward API gives them)")
	}
	server := &http.Server{Addr: listen, Handler: answer(pod, node), ReadHeaderTimeout: 5 * time.Second}
	if err := serve(server); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

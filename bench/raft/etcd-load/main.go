// The same load as load.ts, against etcd by its own Go client: W writers, each with one put under way, for a fixed time. Prints one JSON object.
// Build (Debian: golang-go, golang-etcd-server-dev): GO111MODULE=off GOPATH=/usr/share/gocode go build -o etcd-load main.go
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/pkg/transport"
)

const keys = 10000

func main() {
	endpoint := flag.String("endpoint", "", "host:port")
	writers := flag.Int("writers", 1, "writers")
	ms := flag.Int("ms", 3000, "measured time")
	warm := flag.Int("warm", 500, "time before, ms")
	pki := flag.String("pki", "", "folder of ca.crt, client.crt, client.key; empty: no TLS")
	flag.Parse()
	var config *tls.Config
	if *pki != "" {
		info := transport.TLSInfo{TrustedCAFile: *pki + "/ca.crt", CertFile: *pki + "/client.crt", KeyFile: *pki + "/client.key"}
		made, err := info.ClientConfig()
		check(err)
		config = made
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{*endpoint}, TLS: config, DialTimeout: 5 * time.Second})
	check(err)
	value := strings.Repeat("v", 256)
	start := time.Now().Add(time.Duration(*warm) * time.Millisecond)
	end := start.Add(time.Duration(*ms) * time.Millisecond)
	latencies := make([][]float64, *writers)
	var next int64
	var group sync.WaitGroup
	for w := 0; w < *writers; w++ {
		group.Add(1)
		go func(w int) {
			defer group.Done()
			for began := time.Now(); began.Before(end); began = time.Now() {
				key := fmt.Sprintf("key-%08d", (atomic.AddInt64(&next, 1)-1)%keys)
				_, err := client.Put(context.Background(), key, value)
				check(err)
				if ended := time.Now(); !began.Before(start) && !ended.After(end) {
					latencies[w] = append(latencies[w], float64(ended.Sub(began).Nanoseconds())/1e6)
				}
			}
		}(w)
	}
	group.Wait()
	all := []float64{}
	for _, part := range latencies {
		all = append(all, part...)
	}
	sort.Float64s(all)
	json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"writers": float64(*writers), "writes": float64(len(all)), "perSecond": float64(len(all)) / (float64(*ms) / 1000),
		"p50Ms": all[len(all)/2], "p99Ms": all[int(float64(len(all))*0.99)],
	})
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

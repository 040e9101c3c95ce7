package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// ownBroker is a broker of the case's own, whose workers may be killed; it must stop in good order in the end.
type ownBroker struct {
	address, folder string
	command         *exec.Cmd
}

// freePort is below those that the kernel takes for outgoing connections.
func freePort() string {
	for {
		port := strconv.Itoa(20_000 + rand.Intn(10_000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err == nil {
			l.Close()
			return port
		}
	}
}

func startBroker(ctx context.Context) (*ownBroker, error) {
	folder, err := os.MkdirTemp("", "forka-go-")
	if err != nil {
		return nil, err
	}
	b := &ownBroker{address: "127.0.0.1:" + freePort(), folder: folder}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	b.command = exec.Command(os.Getenv("BROKER"), "-w", "4", "-o", "listeners=PLAINTEXT://"+b.address, "-d", filepath.Join(folder, "data"))
	b.command.Stdout, b.command.Stderr = log, log
	if err := b.command.Start(); err != nil {
		return nil, err
	}
	return b, await(ctx, "the broker is ready", func() bool { return len(b.said("broker is ready")) > 0 })
}

// said gives all that the log has of this form.
func (b *ownBroker) said(form string) [][]string {
	log, _ := os.ReadFile(filepath.Join(b.folder, "log"))
	return regexp.MustCompile(form).FindAllStringSubmatch(string(log), -1)
}

// rebalances counts the group's rebalances, and names the worker that coordinates it.
func (b *ownBroker) rebalances(group string) (n int, worker string) {
	found := b.said(`(worker-\d+)\[\d+\] group rebalances group=` + group + " ")
	if len(found) == 0 {
		return 0, ""
	}
	return len(found), found[len(found)-1][1]
}

// kill is SIGKILL to a worker; it returns when that has a successor.
func (b *ownBroker) kill(ctx context.Context, worker string) error {
	form := "process started process=" + worker + ` pid=(\d+)`
	started := b.said(form)
	if len(started) == 0 {
		return fmt.Errorf("there was never a %q", worker)
	}
	pid, err := strconv.Atoi(started[len(started)-1][1])
	if err := first(err, syscall.Kill(pid, syscall.SIGKILL)); err != nil {
		return err
	}
	return await(ctx, "a successor of "+worker, func() bool { return len(b.said(form)) > len(started) })
}

func (b *ownBroker) stop() error {
	defer os.RemoveAll(b.folder)
	if err := b.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- b.command.Wait() }()
	select {
	case err := <-ended:
		if found := b.said("broken invariant.*|Sanitizer.*|runtime error.*"); len(found) > 0 {
			return errors.New(found[0][0])
		}
		return err
	case <-time.After(5 * time.Second):
		return first(b.command.Process.Kill(), errors.New("the broker did not end within 5 s of SIGTERM"))
	}
}

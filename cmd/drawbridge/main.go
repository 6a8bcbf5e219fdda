// Command drawbridge is the federation bridge and OIDC claims gateway: one
// OpenID Provider for relying parties, a strict relying party of external
// identity providers, the Users contract, and webhooks when sessions end.
//
// This package is the wiring. It alone reads the configuration and names the
// engine, the connectors and the drivers; app.go builds everything from top to
// bottom, revision.go what a reload replaces, announce.go joins changes in
// federation to the events and deliveries of the same commit, and people.go
// shows federation's persons to the Users contract.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the release build.
var version = "dev"

// commands is the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Serve relying parties, browsers and the management API."`
	Check   checkCommand   `cmd:"" help:"Check a configuration: exit 0 and print the callback addresses to register, or 1 with every problem."`
	Demo    demoCommand    `cmd:"" help:"Show the whole of it in one process, in a browser or, with --once, without one."`
	Store   storeCommand   `cmd:"" help:"Look after the store: check, export, import, backup, restore."`
	Health  healthCommand  `cmd:"" help:"Ask a running server whether it is ready: exit 0 or 1."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

func main() {
	var c commands
	parser := kong.Must(&c, kong.Name("drawbridge"), kong.Description("A federation bridge and OIDC claims gateway."), kong.UsageOnError())
	run, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does not wait for the drain
	run.BindTo(ctx, (*context.Context)(nil))
	err = run.Run()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run() error {
	fmt.Println("drawbridge", version, goVersion())
	return nil
}

func goVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.GoVersion
	}
	return ""
}

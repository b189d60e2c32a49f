using Mesh.Benchmarks;
using Mesh.Benchmarks.Plane;
using Mesh.Benchmarks.Sidecar;

// `-- hop [--pairs 9] [--seconds 1.5] [--concurrency 1,16,64]`: what a call costs through Mesh.Client and Mesh.Server, against the same call without them.
// `-- limits` with the same options: what a rate limit and a concurrency limit cost the server, against the same call without them.
// `-- telemetry [--epochs 6] [--seconds 25] [--calls 1000] [--concurrency 16]`: what metrics, traces and taps cost caller and server, against none of them.
// `-- overview [--series 5000] [--refreshes 60]`: what a refresh of the dashboard's overview costs, against one that reads every count of its hour.
// `-- authz` with the same options: what 1, 100 and 1,000 access rules cost the server, against none.
// `-- sim [SEEDS]`: what the simulation's tests assert, as numbers. `-- pick [--rounds 9] [--seconds 0.1] [--endpoints 5,100,1000]`: what one pick costs.
// `-- sidecar [--repetitions 5] [--seconds 2] [--in-flight 1,16,64,256] [--pairs direct,haproxy-h1,haproxy-h2,nginx,mesh] [--parts start,http,grpc,tcp,memory]`:
// a pair of sidecars with mutual TLS between them, against pairs of HAProxy and nginx and against none; `sidecar-app` and `sidecar-load` are its other processes.
// `-- control-plane [--services 1000] [--endpoints 10] [--clients 1000] [--watch 20] [--rate 100] [--seconds 20] [--repetitions 3] [--source synthetic|kubernetes] [--variants delta,sotw] [--tls on|off] [--decode on|off]`:
// a simulated mesh around a real control plane, which is `plane-serve`.
// `-- serve plain|mesh|limits|authz-N FOLDER` is their other process.
return args switch
{
    ["serve", var kind, var certificates] => await HopServer.RunAsync(kind, certificates),
    ["hop", .. var rest] => await HopBench.RunAsync(HopSettings.Parse(rest)),
    ["limits", .. var rest] => await LimitsBench.RunAsync(HopSettings.Parse(rest)),
    ["telemetry", .. var rest] => await TelemetryBench.RunAsync(TelemetrySettings.Parse(rest)),
    ["overview", .. var rest] => await OverviewBench.RunAsync(OverviewSettings.Parse(rest)),
    ["authz", .. var rest] => await AuthzBench.RunAsync(HopSettings.Parse(rest)),
    ["sim", .. var rest] => SimBench.Run(rest is [var seeds] ? Math.Clamp(int.Parse(seeds, System.Globalization.CultureInfo.InvariantCulture), 1, 10_000) : 25),
    ["sidecar", .. var rest] => await SidecarBench.RunAsync(SidecarSettings.Parse(rest)),
    ["sidecar-app"] => await BenchApp.RunAsync(),
    ["sidecar-load", .. var rest] => await BenchLoad.RunAsync(rest),
    ["control-plane", .. var rest] => await PlaneBench.RunAsync(PlaneSettings.Parse(rest)),
    ["plane-serve", var source, .. var rest] => await PlaneServe.RunAsync(source, rest),
    ["pick", .. var rest] => PickBench.Run(PickSettings.Parse(rest)),
    [] => await HopBench.RunAsync(HopSettings.Parse([])),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: Mesh.Benchmarks hop|limits|authz [--pairs N] [--seconds S] [--concurrency N,N,...] | telemetry [--epochs N] [--seconds S] [--calls N] [--concurrency N] | overview [--series N] [--refreshes N] | sim [SEEDS] | sidecar [--repetitions N] [--seconds S] [--in-flight N,N,...] [--pairs ...] [--parts ...] | control-plane [--services N] [--clients N] [--rate N] [--seconds S] ... | pick [--rounds N] [--seconds S] [--endpoints N,N,...]");
    return 64;
}

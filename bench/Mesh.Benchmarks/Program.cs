using Mesh.Benchmarks;

// The one bench so far: what a call costs through Mesh.Client and Mesh.Server, against the same call without them.
// `-- hop [--pairs 9] [--seconds 1.5] [--concurrency 1,16,64]`; `-- serve plain|mesh FILE` is its other process.
return args switch
{
    ["serve", var kind, var certificates] => await HopServer.RunAsync(kind, certificates),
    ["hop", .. var rest] => await HopBench.RunAsync(HopSettings.Parse(rest)),
    [] => await HopBench.RunAsync(HopSettings.Parse([])),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: Mesh.Benchmarks hop [--pairs N] [--seconds S] [--concurrency N,N,...]");
    return 64;
}

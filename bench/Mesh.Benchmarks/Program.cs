using Mesh.Benchmarks;

// `-- hop [--pairs 9] [--seconds 1.5] [--concurrency 1,16,64]`: what a call costs through Mesh.Client and Mesh.Server, against the same call without them.
// `-- limits` with the same options: what a rate limit and a concurrency limit cost the server, against the same call without them.
// `-- serve plain|mesh|limits FOLDER` is their other process.
return args switch
{
    ["serve", var kind, var certificates] => await HopServer.RunAsync(kind, certificates),
    ["hop", .. var rest] => await HopBench.RunAsync(HopSettings.Parse(rest)),
    ["limits", .. var rest] => await LimitsBench.RunAsync(HopSettings.Parse(rest)),
    [] => await HopBench.RunAsync(HopSettings.Parse([])),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: Mesh.Benchmarks hop|limits [--pairs N] [--seconds S] [--concurrency N,N,...]");
    return 64;
}

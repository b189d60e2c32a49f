using Mesh.Benchmarks;

// `-- hop [--pairs 9] [--seconds 1.5] [--concurrency 1,16,64]`: what a call costs through Mesh.Client and Mesh.Server, against the same call without them.
// `-- limits` with the same options: what a rate limit and a concurrency limit cost the server, against the same call without them.
// `-- authz` with the same options: what 1, 100 and 1,000 access rules cost the server, against none.
// `-- sim [SEEDS]`: what the simulation's tests assert, as numbers. `-- pick [--rounds 9] [--seconds 0.1] [--endpoints 5,100,1000]`: what one pick costs.
// `-- serve plain|mesh|limits|authz-N FOLDER` is their other process.
return args switch
{
    ["serve", var kind, var certificates] => await HopServer.RunAsync(kind, certificates),
    ["hop", .. var rest] => await HopBench.RunAsync(HopSettings.Parse(rest)),
    ["limits", .. var rest] => await LimitsBench.RunAsync(HopSettings.Parse(rest)),
    ["authz", .. var rest] => await AuthzBench.RunAsync(HopSettings.Parse(rest)),
    ["sim", .. var rest] => SimBench.Run(rest is [var seeds] ? Math.Clamp(int.Parse(seeds, System.Globalization.CultureInfo.InvariantCulture), 1, 10_000) : 25),
    ["pick", .. var rest] => PickBench.Run(PickSettings.Parse(rest)),
    [] => await HopBench.RunAsync(HopSettings.Parse([])),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: Mesh.Benchmarks hop|limits|authz [--pairs N] [--seconds S] [--concurrency N,N,...] | sim [SEEDS] | pick [--rounds N] [--seconds S] [--endpoints N,N,...]");
    return 64;
}

namespace Mesh.Benchmarks.Plane;

/// <summary>How changes reach the control plane's source.</summary>
internal interface IPlaneFeed : IAsyncDisposable
{
    /// <summary>The serving process' first arguments: which source, and where it finds what it reads.</summary>
    IReadOnlyList<string> Arguments(string scratch);

    /// <summary>Tells a process that has just begun what there is.</summary>
    Task FillAsync(PlaneProcess plane);

    Task ApplyAsync(PlaneProcess plane, PlaneService service, PlaneChange change);
}

/// <summary>Lines on the process' input.</summary>
internal sealed class PipeFeed(PlaneTopology topology) : IPlaneFeed
{
    public IReadOnlyList<string> Arguments(string scratch) => ["synthetic", "--config", scratch];

    public Task FillAsync(PlaneProcess plane) => plane.WriteAsync(string.Join('\n', topology.Services.Select(Line)) + "\ngo");

    public Task ApplyAsync(PlaneProcess plane, PlaneService service, PlaneChange change) => plane.WriteAsync(Line(service));

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static string Line(PlaneService service) => $"{service.Namespace} {service.Name} {string.Join(',', service.Addresses)}";
}

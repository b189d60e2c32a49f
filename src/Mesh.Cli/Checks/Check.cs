namespace Mesh.Cli.Checks;

/// <summary>One thing that was looked at.</summary>
/// <param name="Result"><c>ok</c>, <c>warning</c> or <c>error</c>.</param>
internal sealed record Check(string Id, string Category, string Description, string Result, string? Detail, string? Fix);

/// <summary>What is wrong, and what to do.</summary>
internal sealed record Finding(string Result, string Detail, string Fix)
{
    public static Finding Error(string detail, string fix) => new("error", detail, fix);

    public static Finding Warning(string detail, string fix) => new("warning", detail, fix);
}

/// <summary>One thing that can be looked at in a cluster.</summary>
/// <param name="Id"><c>MESH-CHK-nnn</c>, as docs/kubernetes.md explains it.</param>
/// <param name="Ask">Null: all is well.</param>
internal sealed record ClusterCheck(string Id, string Category, string Description, Func<ClusterFacts, CancellationToken, Task<Finding?>> Ask)
{
    /// <summary>When it fails, what follows can't be known.</summary>
    public bool Stops { get; init; }
}

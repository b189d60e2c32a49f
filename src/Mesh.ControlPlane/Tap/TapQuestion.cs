using Mesh.ControlPlane.Model;
using Mesh.Tap;
using Mesh.Telemetry;

namespace Mesh.ControlPlane.Tap;

/// <summary>Whose requests somebody wants to see. Valid as it is; null is any.</summary>
/// <param name="MaxPerSecond">Of all data planes together.</param>
internal sealed record TapQuestion(double MaxPerSecond)
{
    /// <summary>Of either side; of <see cref="Workload"/> where that is given.</summary>
    public string? Namespace { get; init; }

    /// <summary>A workload, service account or Service; <see cref="MeshTags.Unmeshed"/> is who has no identity.</summary>
    public string? Source { get; init; }

    public string? SourceNamespace { get; init; }

    /// <summary>A Service, or a workload behind one.</summary>
    public string? Destination { get; init; }

    public string? DestinationNamespace { get; init; }

    /// <summary>What it serves and what it calls, as it sees both. Without it each exchange is shown once: by its caller, or by who served it where the caller does not attend.</summary>
    public string? Workload { get; init; }

    /// <summary>The same of each workload that has these labels.</summary>
    public LabelSelector? Labels { get; init; }

    public string Method { get; init; } = string.Empty;

    public string Path { get; init; } = string.Empty;

    /// <summary><see cref="TapStatus"/>.</summary>
    public string Status { get; init; } = string.Empty;

    public double MinMs { get; init; }

    /// <summary>Lower-case names of headers whose values are wanted; none of them secret.</summary>
    public IReadOnlyList<string> Headers { get; init; } = [];

    /// <summary>Also what goes on for long, while it does.</summary>
    public bool Opens { get; init; }

    public bool Shows(string header) => Headers.Contains(header, StringComparer.OrdinalIgnoreCase);
}

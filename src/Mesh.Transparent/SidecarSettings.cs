using Microsoft.Extensions.Configuration;

namespace Mesh.Transparent;

/// <summary>All that the environment says.</summary>
/// <param name="Options">Of the proxy itself.</param>
/// <param name="Configuration">What it shares with the libraries, as their section <c>Mesh</c>: for <c>AddMeshCore</c>.</param>
/// <param name="Warnings">One sentence each, to be logged at start.</param>
internal sealed record SidecarSettings(SidecarOptions Options, IConfiguration Configuration, IReadOnlyList<string> Warnings);

using Mesh.Hosting;
using Microsoft.Extensions.Options;

namespace Mesh.Client;

/// <summary>What is wrong with the options that code gave clients.</summary>
internal sealed class ClientOptionsProblems(IEnumerable<ConfiguredClient> clients, IOptionsMonitor<MeshClientOptions> options) : IOptionsProblems
{
    public IEnumerable<string> Find() => clients.Select(c => c.Name).Distinct(StringComparer.Ordinal).SelectMany(name =>
        MeshCallOptionsReader.Problems(options.Get(name), name is null ? "ConfigureMesh of all clients: " : $"ConfigureMesh of client '{name}': "));
}

/// <summary>A client that code configured, so that its options are looked at when the program starts.</summary>
/// <param name="Name">Null is all clients.</param>
internal sealed record ConfiguredClient(string? Name);

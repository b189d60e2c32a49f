using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model;

/// <summary>A TLSRoute or TCPRoute attached to Services (Gateway API, GAMMA): where connections of sidecars go whose bytes are not read as HTTP.</summary>
/// <param name="Tls">A TLSRoute: by server name.</param>
/// <param name="Hostnames">Of a TLSRoute: at least one, in lower case, each exact or <c>*.suffix</c>.</param>
/// <param name="Parents">The Services whose callers it steers; a null port means every port.</param>
/// <param name="Backends">May be empty: then every connection is closed (Gateway API).</param>
internal sealed record ConnectionRoute(
    string Namespace, string Name, bool Tls, ImmutableArray<string> Hostnames, ImmutableArray<ParentRef> Parents, ImmutableArray<BackendRef> Backends)
{
    /// <summary>File and line.</summary>
    public string Where { get; init; } = string.Empty;
}

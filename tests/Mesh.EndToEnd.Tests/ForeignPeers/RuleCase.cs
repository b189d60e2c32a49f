using Grpc.Core;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Hcm;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>Filters that a server gets, and what then comes of calls.</summary>
internal sealed record RuleCase(IReadOnlyList<HttpFilter> Filters, IReadOnlyList<RuleCall> Calls)
{
    /// <summary>The server refuses the listener; what was in force stays.</summary>
    public bool IsNacked { get; init; }

    /// <summary>By the route's path prefix: overrides of the filter named <see cref="RbacProtos.Allow"/>.</summary>
    public IReadOnlyDictionary<string, RBACPerRoute> Overrides { get; init; } = new Dictionary<string, RBACPerRoute>();

    /// <summary>The same filters with other outcomes: what a peer does of its own.</summary>
    public RuleCase Expecting(params RuleCall[] calls) => this with { Calls = calls };

    public static RuleCase Nacked(RuleCase given) => given with { IsNacked = true };
}

/// <param name="Caller">Service account in the namespace <c>shop</c>, or <c>namespace/account</c>.</param>
internal sealed record RuleCall(string Caller, string Path, StatusCode Expected, params (string Name, string Value)[] Headers);

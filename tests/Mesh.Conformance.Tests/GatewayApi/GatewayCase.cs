namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>One case of the Gateway API, as its <c>case.yaml</c> says; the objects that it is about stand beside it in <c>manifest.yaml</c>.</summary>
internal sealed class GatewayCase
{
    /// <summary>The folder's: where <see cref="Upstream"/>, what the Gateway API's own suite calls it.</summary>
    public string Name { get; set; } = string.Empty;

    /// <summary>The Gateway API's suite has a case of that name; false: it is ours.</summary>
    public bool Upstream { get; set; } = true;

    /// <summary>Names of features, as the Gateway API spells them.</summary>
    public List<string> Features { get; set; } = [];

    /// <summary>False: we do otherwise than the Gateway API says, and <see cref="Remarks"/> says why. The rows then say what we do.</summary>
    public bool Claimed { get; set; } = true;

    public string Remarks { get; set; } = string.Empty;

    /// <summary>Pieces of what the control plane tells beside a good status.</summary>
    public List<string> Told { get; set; } = [];

    public List<StatusRow> Status { get; set; } = [];

    public List<RequestRow> Requests { get; set; } = [];

    public override string ToString() => Name;
}

/// <summary>What a route must say of itself at one of its parents: reasons of its conditions.</summary>
internal sealed class StatusRow
{
    private static readonly string[] _accepted = ["Accepted", "NoMatchingParent", "UnsupportedValue", "Conflicted", "NotAllowedByListeners"];
    private static readonly string[] _resolved = ["ResolvedRefs", "RefNotPermitted", "InvalidKind", "BackendNotFound", "UnsupportedProtocol"];

    /// <summary>Kind, namespace and name: <c>HTTPRoute/mesh/split</c>.</summary>
    public string Route { get; set; } = string.Empty;

    /// <summary>The parent's name.</summary>
    public string Parent { get; set; } = string.Empty;

    /// <summary>Reason of condition Accepted: it is true when the reason is Accepted.</summary>
    public string Accepted { get; set; } = "Accepted";

    /// <summary>Reason of condition ResolvedRefs: it is true when the reason is ResolvedRefs.</summary>
    public string ResolvedRefs { get; set; } = "ResolvedRefs";

    public bool IsGood => Accepted == "Accepted" && ResolvedRefs == "ResolvedRefs";

    public bool HasKnownReasons => _accepted.Contains(Accepted) && _resolved.Contains(ResolvedRefs);
}

/// <summary>One request, or several that are alike, and what must come of it.</summary>
internal sealed class RequestRow
{
    public string? Name { get; set; }

    /// <summary>Namespace and service account of the workload that calls.</summary>
    public string From { get; set; } = "mesh/client";

    /// <summary>How it is in the mesh: <c>library</c> (HttpClient with the mesh's handler) and <c>sidecar</c> (an HttpClient that knows nothing, whose connections are turned to a sidecar).</summary>
    public List<string> Via { get; set; } = ["library", "sidecar"];

    /// <summary><c>http1</c>, <c>h2</c>, <c>grpc</c> or <c>websocket</c>.</summary>
    public string Protocol { get; set; } = "http1";

    public string Method { get; set; } = "GET";

    /// <summary>A Service as an app writes it; <c>NAME.NAMESPACE.pod</c> stands for the address of a Pod.</summary>
    public string To { get; set; } = string.Empty;

    /// <summary>Another Host than that of <see cref="To"/>.</summary>
    public string? Host { get; set; }

    /// <summary>A value or several.</summary>
    public Dictionary<string, object> Headers { get; set; } = [];

    public int Repeat { get; set; } = 1;

    /// <summary><c>cookie</c> or a header's name: what the first answer gave of it is sent with the following requests.</summary>
    public string? Carry { get; set; }

    public Expectation Expect { get; set; } = new();

    public override string ToString() => Name ?? $"{Protocol} {Method} {To}{(From == "mesh/client" ? string.Empty : $" from {From}")}{string.Concat(Headers.Select(h => $" {h.Key}: {h.Value}"))}";
}

/// <summary>What must come of a request; what is not said is not looked at.</summary>
internal sealed class Expectation
{
    /// <summary>Null where shares tell it.</summary>
    public int? Status { get; set; }

    /// <summary>By its name in gRPC's C# API.</summary>
    public string? Grpc { get; set; }

    /// <summary>The Pod that answered.</summary>
    public string? Backend { get; set; }

    /// <summary>Where the answer sends the caller to.</summary>
    public string? Location { get; set; }

    /// <summary>Headers of the answer; null: it has none of that name.</summary>
    public Dictionary<string, string?> Headers { get; set; } = [];

    /// <summary>As the backend saw it.</summary>
    public SeenRow? Request { get; set; }

    /// <summary>Which part of the requests each Pod answered, or ended with each status.</summary>
    public Dictionary<string, double> Shares { get; set; } = [];

    /// <summary>How many copies each Pod got per request.</summary>
    public Dictionary<string, double> Copies { get; set; } = [];

    /// <summary>How often backends were asked for each request.</summary>
    public int? Attempts { get; set; }

    /// <summary>All requests were answered by the same Pod.</summary>
    public bool SamePod { get; set; }
}

internal sealed class SeenRow
{
    public string? Method { get; set; }

    /// <summary>With its query.</summary>
    public string? Path { get; set; }

    public string? Host { get; set; }

    public string? Protocol { get; set; }

    /// <summary>Null: it has none of that name.</summary>
    public Dictionary<string, string?> Headers { get; set; } = [];
}

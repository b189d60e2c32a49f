using System.Collections.Immutable;
using System.Net;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>What AuthorizationPolicy says.</summary>
internal static class AuthorizationSettings
{
    public const string Kind = "AuthorizationPolicy";

    /// <summary>Not one value per place: all policies that reach a place hold there together (<see cref="AuthorizationIndex"/>).</summary>
    public static readonly Setting<AuthorizationRules> Rules = new("authorization.rules", new AuthorizationRules(false, []), r => Shown.List(r.Rules, x => x.Name));

    public static readonly ImmutableArray<Setting> All = [Rules];
}

/// <param name="Audit">Mode Audit: its rules are asked and counted, and refuse nobody.</param>
internal sealed record AuthorizationRules(bool Audit, ImmutableArray<AuthorizationRule> Rules);

/// <summary>Who may do what. Entries of a list are alternatives; the fields of one entry all hold.</summary>
/// <param name="Name">Its own, else its position.</param>
/// <param name="From">Empty: anybody.</param>
/// <param name="To">Empty: anything.</param>
/// <param name="Where">File and line.</param>
internal sealed record AuthorizationRule(string Name, RuleAction Action, ImmutableArray<CallerMatch> From, ImmutableArray<RequestMatch> To, string Where)
{
    public bool HasClaims => From.Any(f => !f.Claims.IsEmpty);

    /// <summary>How much there is to ask: what bounds are about.</summary>
    public int Conditions => 1 + From.Sum(f => f.Conditions) + To.Sum(t => t.Conditions);
}

internal enum RuleAction
{
    Allow,
    Deny,

    /// <summary>A Deny that is only counted.</summary>
    Audit,
}

/// <summary>One entry of <c>from</c>.</summary>
internal sealed record CallerMatch
{
    /// <summary>SPIFFE IDs; <c>*</c> is one whole segment of the path, <c>**</c> at the end is one or more.</summary>
    public ImmutableArray<string> Identities { get; init; } = [];

    public ImmutableArray<ServiceName> ServiceAccounts { get; init; } = [];

    public ImmutableArray<string> Namespaces { get; init; } = [];

    public ImmutableArray<string> TrustDomains { get; init; } = [];

    /// <summary>True: has an identity of the mesh's trust domain. False: has none. Null: not asked.</summary>
    public bool? Authenticated { get; init; }

    public ImmutableArray<NetworkMatch> Networks { get; init; } = [];

    /// <summary>All of them, and of one token.</summary>
    public ImmutableArray<ClaimMatch> Claims { get; init; } = [];

    public int Conditions => Identities.Length + ServiceAccounts.Length + Namespaces.Length + TrustDomains.Length + (Authenticated is null ? 0 : 1)
        + Networks.Sum(n => 1 + n.Except.Length) + Claims.Sum(c => c.Values.Length);
}

internal sealed record NetworkMatch(IPNetwork Cidr, ImmutableArray<IPNetwork> Except);

/// <param name="Path">The claim, then members of objects.</param>
/// <param name="Values">Any of them; <c>*</c> alone is that the claim is there.</param>
internal sealed record ClaimMatch(ImmutableArray<string> Path, ImmutableArray<string> Values);

/// <summary>One entry of <c>to</c>.</summary>
internal sealed record RequestMatch
{
    public ImmutableArray<string> Methods { get; init; } = [];

    /// <summary>Exact, or everything below with <c>/*</c> at the end; <c>*</c> in between is one whole segment.</summary>
    public ImmutableArray<string> Paths { get; init; } = [];

    public ImmutableArray<string> Hosts { get; init; } = [];

    /// <summary>All of them.</summary>
    public ImmutableArray<HeaderCondition> Headers { get; init; } = [];

    /// <summary>Where the workload listens.</summary>
    public ImmutableArray<int> Ports { get; init; } = [];

    public ImmutableArray<GrpcMatch> Grpc { get; init; } = [];

    public int Conditions => Methods.Length + Paths.Length + Hosts.Length + Headers.Length + Ports.Length + Grpc.Length;

    /// <summary>Asks for more than the port: not to be told of bytes.</summary>
    public bool IsHttp => Methods.Length + Paths.Length + Hosts.Length + Headers.Length + Grpc.Length > 0;
}

/// <param name="Name">Lower case.</param>
/// <param name="Value">Empty for <see cref="HeaderConditionType.Present"/>.</param>
internal sealed record HeaderCondition(string Name, HeaderConditionType Type, string Value);

internal enum HeaderConditionType
{
    Exact,
    Prefix,
    Suffix,
    RegularExpression,
    Present,
}

/// <param name="Method">Null is every one of the service.</param>
internal sealed record GrpcMatch(string Service, string? Method);

using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model;

/// <summary>What a rule does with its calls beside forwarding them (Gateway API filters). At most one of <see cref="Redirect"/> and <see cref="Direct"/>.</summary>
internal sealed record RuleFilters
{
    public static RuleFilters None { get; } = new();

    public HeaderModifier? RequestHeaders { get; init; }

    public HeaderModifier? ResponseHeaders { get; init; }

    public RequestRedirect? Redirect { get; init; }

    public UrlRewrite? Rewrite { get; init; }

    /// <summary>Only those whose Service is known and may be referred to.</summary>
    public ImmutableArray<RequestMirror> Mirrors { get; init; } = [];

    public DirectResponse? Direct { get; init; }

    /// <summary>The rule answers by itself: its backends are not asked.</summary>
    public bool Answers => Redirect is not null || Direct is not null;
}

/// <param name="Set">Replaces.</param>
/// <param name="Add">Appends.</param>
/// <param name="Remove">Header names.</param>
internal sealed record HeaderModifier(ImmutableArray<NamedValue> Set, ImmutableArray<NamedValue> Add, ImmutableArray<string> Remove);

internal sealed record NamedValue(string Name, string Value);

/// <param name="StatusCode">301, 302, 303, 307 or 308.</param>
/// <param name="Port">Null is the scheme's own, or without a scheme the port that was called.</param>
internal sealed record RequestRedirect(int StatusCode, string? Scheme, string? Hostname, int? Port, PathModifier? Path);

internal sealed record UrlRewrite(string? Hostname, PathModifier? Path);

/// <param name="IsPrefix">Replaces what the rule's prefix match took; else the whole path.</param>
internal sealed record PathModifier(bool IsPrefix, string Value);

/// <param name="PerMillion">Share of the calls.</param>
internal sealed record RequestMirror(BackendRef Backend, int PerMillion);

/// <param name="Status">200–599.</param>
/// <param name="ContentType">Null leaves it to the mesh.</param>
internal sealed record DirectResponse(int Status, string Body, string? ContentType);

/// <summary>Calls of one session meet the same endpoint (GEP-1619).</summary>
/// <param name="Name">Of the cookie or header.</param>
/// <param name="Lifetime">Of the cookie; null ends it with the session.</param>
internal sealed record SessionPersistence(bool ByHeader, string Name, TimeSpan? Lifetime);

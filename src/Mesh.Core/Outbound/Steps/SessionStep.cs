using System.Globalization;
using System.Text;
using Mesh.Balancing;
using Mesh.Config;
using Mesh.Routing;
using Mesh.Telemetry;

namespace Mesh.Outbound.Steps;

/// <summary>Keeps the calls of one session at one endpoint: what the caller brings back says which, and the answer tells it (gRFC A55, A60).</summary>
/// <remarks>What is carried only ever names an endpoint that the control plane lists; anything else is as if it were not there.</remarks>
internal static class SessionStep
{
    // Address and cluster name: a longer one is not ours.
    private const int MostChars = 1024;

    /// <summary>Reads the session of a call. It stays in its cluster while the route still leads there.</summary>
    /// <param name="drawn">The cluster by weight.</param>
    public static OutboundTarget Begin(OutboundCall call, OutboundTarget drawn, WeightedClusters<OutboundTarget> all)
    {
        if (drawn.Session is not { } settings || !CoversPath(settings.Path, call.Request.RequestUri!.AbsolutePath))
        {
            return drawn;
        }

        var (address, cluster) = TryRead(call.Request, settings, out var value) && TryDecode(value, out var host, out var name) ? (host, name) : (null, null);
        var target = drawn;
        for (var i = 0; cluster is not null && i < all.Items.Count; i++)
        {
            if (all.Items[i].Cluster.Name == cluster)
            {
                target = all.Items[i];
                break;
            }
        }

        call.Session = new CallSession(settings, address, cluster);
        return target;
    }

    /// <summary>The session's endpoint while it works, draining or overloaded as it may be; else another one, unless the session is strict.</summary>
    /// <param name="random">Chance, for the other one.</param>
    /// <param name="now">Timestamp.</param>
    public static BalancedEndpoint? Pick(OutboundCall call, CallSession session, Random random, long now)
    {
        var cluster = call.Cluster!;
        if (session.Address is null)
        {
            return cluster.Balancer.Pick(random, call.Tried, now, call.Hash);
        }

        if (session.Cluster == cluster.Name && cluster.Balancer.Find(session.Address, now) is { } endpoint && (session.Settings.Strict || !call.Tried.Contains(endpoint)))
        {
            return endpoint;
        }

        if (session.Settings.Strict)
        {
            call.Pipeline.Telemetry.Decide(call, Decisions.Session, "refused");
            return null;
        }

        if (!session.HasMoved)
        {
            session.HasMoved = true;
            call.Pipeline.Telemetry.Decide(call, Decisions.Session, "moved");
        }

        return cluster.Balancer.Pick(random, call.Tried, now, call.Hash);
    }

    /// <summary>Tells the caller where its session is now, when that is not what it brought.</summary>
    public static void End(OutboundCall call, CallSession session, HttpResponseMessage response)
    {
        if (call.Endpoint is not { } endpoint || (endpoint.Config.HostPort == session.Address && endpoint.Cluster.Name == session.Cluster))
        {
            return;
        }

        var value = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{endpoint.Config.HostPort};{endpoint.Cluster.Name}"));
        var settings = session.Settings;
        if (settings.Carrier == SessionCarrier.Header)
        {
            response.Headers.Remove(settings.Name);
            response.Headers.TryAddWithoutValidation(settings.Name, value);
            return;
        }

        // RFC 6265 §4.1. Without a path of its own it would be bound to the directory of this one request.
        var age = settings.Ttl > TimeSpan.Zero ? string.Create(CultureInfo.InvariantCulture, $"; Max-Age={(long)Math.Ceiling(settings.Ttl.TotalSeconds)}") : string.Empty;
        response.Headers.TryAddWithoutValidation("Set-Cookie", $"{settings.Name}={value}{age}; Path={(settings.Path.Length > 0 ? settings.Path : "/")}; HttpOnly");
    }

    /// <summary>RFC 6265 §5.1.4.</summary>
    internal static bool CoversPath(string cookiePath, string path) =>
        cookiePath.Length == 0
        || (path.StartsWith(cookiePath, StringComparison.Ordinal) && (path.Length == cookiePath.Length || cookiePath[^1] == '/' || path[cookiePath.Length] == '/'));

    /// <summary>The value of a cookie in a Cookie header's value; the first of its name counts.</summary>
    internal static bool TryFindCookie(string header, string name, out ReadOnlySpan<char> value)
    {
        foreach (var range in header.AsSpan().Split(';'))
        {
            var pair = header.AsSpan(range).Trim();
            var equals = pair.IndexOf('=');
            if (equals > 0 && pair[..equals].TrimEnd().SequenceEqual(name))
            {
                value = pair[(equals + 1)..].Trim();
                value = value is ['"', .., '"'] ? value[1..^1] : value;
                return true;
            }
        }

        value = default;
        return false;
    }

    private static bool TryRead(HttpRequestMessage request, SessionAffinity settings, out ReadOnlySpan<char> value)
    {
        value = default;
        if (!request.Headers.NonValidated.TryGetValues(settings.Carrier == SessionCarrier.Cookie ? "Cookie" : settings.Name, out var headers))
        {
            return false;
        }

        foreach (var header in headers)
        {
            if (settings.Carrier == SessionCarrier.Header)
            {
                value = header.AsSpan().Trim();
                return true;
            }

            if (TryFindCookie(header, settings.Name, out value))
            {
                return true;
            }
        }

        return false;
    }

    private static bool TryDecode(ReadOnlySpan<char> value, out string? address, out string? cluster)
    {
        (address, cluster) = (null, null);
        Span<byte> bytes = stackalloc byte[MostChars];
        if (value.Length > MostChars || !Convert.TryFromBase64Chars(value, bytes, out var length))
        {
            return false;
        }

        var text = Encoding.UTF8.GetString(bytes[..length]);
        var end = text.IndexOf(';', StringComparison.Ordinal);
        if (end <= 0)
        {
            return false;
        }

        (address, cluster) = (text[..end], text[(end + 1)..]);
        return true;
    }
}

/// <summary>The session that a call belongs to.</summary>
/// <param name="address">Of its endpoint; null when the caller brought none.</param>
/// <param name="cluster">In which that endpoint is.</param>
internal sealed class CallSession(SessionAffinity settings, string? address, string? cluster)
{
    public SessionAffinity Settings => settings;

    public string? Address => address;

    public string? Cluster => cluster;

    /// <summary>That it goes elsewhere was told already.</summary>
    public bool HasMoved { get; set; }
}

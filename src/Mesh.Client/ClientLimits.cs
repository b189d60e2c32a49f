using Mesh.Hosting;
using Mesh.Resilience;

namespace Mesh.Client;

/// <summary>What one client allows its calls at most, by the service it calls. Immutable; a call is given an object that exists.</summary>
internal sealed class ClientLimits
{
    private readonly Choice _default;
    private readonly Dictionary<string, Choice>.AlternateLookup<ReadOnlySpan<char>> _services;
    private readonly IReadOnlySet<HttpMethod> _never;

    /// <param name="client">Its name; only for messages.</param>
    /// <param name="own">What holds for all its calls; null is nothing.</param>
    /// <param name="services">See <see cref="MeshOptions.Services"/>.</param>
    /// <param name="ns">The namespace that a service is in when nothing is said.</param>
    /// <param name="never">Methods that the client never wants tried again.</param>
    public ClientLimits(string client, CallLimits? own, IEnumerable<KeyValuePair<string, MeshCallOptions>> services, string ns, IReadOnlySet<HttpMethod> never)
    {
        _never = never;
        _default = Choice.Of(own, client);
        var byName = new Dictionary<string, Choice>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, options) in services)
        {
            var choice = Choice.Of(Narrower(own, Of(options)), client);
            var host = name.AsSpan();
            var service = FirstLabels(host, 1);
            var second = FirstLabels(host, 2);
            byName[name] = choice;
            if (service.Length == host.Length)
            {
                byName[$"{name}.{ns}"] = choice;
            }
            else
            {
                byName[second.ToString()] = choice;
                if (second[(service.Length + 1)..].Equals(ns, StringComparison.OrdinalIgnoreCase))
                {
                    byName[service.ToString()] = choice;
                }
            }
        }

        _services = byName.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>Null is what the route says.</summary>
    public CallLimits? For(HttpRequestMessage request)
    {
        var choice = _default;
        if (_services.Dictionary.Count > 0 && request.RequestUri is { IsAbsoluteUri: true } uri)
        {
            ReadOnlySpan<char> host = uri.Host;
            choice = _services.TryGetValue(host, out var found) || (IsService(host) && _services.TryGetValue(FirstLabels(host, 2), out found)) ? found : choice;
        }

        return _never.Count > 0 && _never.Contains(request.Method) ? choice.Once : choice.Limits;
    }

    /// <summary>Null when nothing is limited.</summary>
    public static CallLimits? Of(MeshCallOptions options) =>
        options is { Timeout: null, AttemptTimeout: null, MaxRetries: null, MaxConcurrentRequests: null, DisableHedging: false }
            ? null
            : new CallLimits(options.Timeout, options.AttemptTimeout, options.MaxRetries) { MaxRequests = options.MaxConcurrentRequests, NoHedging = options.DisableHedging };

    /// <summary>The narrower of each.</summary>
    public static CallLimits? Narrower(CallLimits? one, CallLimits? other)
    {
        if (one is null || other is null)
        {
            return one ?? other;
        }

        return new CallLimits(Least(one.Timeout, other.Timeout), Least(one.AttemptTimeout, other.AttemptTimeout), Least(one.MaxRetries, other.MaxRetries))
        {
            NoHedging = one.NoHedging || other.NoHedging,
            MaxRequests = Least(one.MaxRequests, other.MaxRequests),
        };
    }

    private static T? Least<T>(T? one, T? other)
        where T : struct, IComparable<T> => one is { } a && other is { } b ? (a.CompareTo(b) < 0 ? a : b) : one ?? other;

    private static ReadOnlySpan<char> FirstLabels(ReadOnlySpan<char> host, int count)
    {
        var end = -1;
        for (var i = 0; i < count; i++)
        {
            var dot = host[(end + 1)..].IndexOf('.');
            if (dot < 0)
            {
                return host;
            }

            end += dot + 1;
        }

        return host[..end];
    }

    /// <summary><c>service.namespace.svc</c> and longer.</summary>
    private static bool IsService(ReadOnlySpan<char> host)
    {
        var rest = host[FirstLabels(host, 2).Length..];
        return rest.Equals(".svc", StringComparison.OrdinalIgnoreCase) || rest.StartsWith(".svc.", StringComparison.OrdinalIgnoreCase);
    }

    /// <param name="Once">The same without another attempt.</param>
    private readonly record struct Choice(CallLimits? Limits, CallLimits Once)
    {
        public static Choice Of(CallLimits? limits, string client)
        {
            limits = limits is null ? null : limits with { Client = client };
            return new(limits, (limits ?? new CallLimits(null, null, null) { Client = client }) with { MaxRetries = 0, NoHedging = true });
        }
    }
}

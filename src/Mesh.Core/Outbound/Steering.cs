using System.Net.Http.Headers;
using Mesh.Config;
using Mesh.Routing;

namespace Mesh.Outbound;

/// <summary>What a route changes of requests and responses on one of its clusters, compiled. Immutable and thread-safe.</summary>
internal sealed class Steering
{
    private readonly RouteMatch _match;
    private readonly string? _host;
    private readonly PathRewrite? _path;
    private readonly HeaderChange[] _request;
    private readonly HeaderChange[] _response;

    // Names of the headers of requests.
    private readonly string[] _touched;

    private Steering(Route route, RouteAction.Forward? forward, HeaderChanges request, HeaderChanges response)
    {
        (_match, _host, _path) = (route.Match, forward?.HostRewrite, forward?.PathRewrite);
        (_request, _response) = ([.. request.Changes], [.. response.Changes]);
        _touched = [.. request.Changes.Select(c => c.Name).Concat(_host is null ? [] : ["host"]).Distinct(StringComparer.Ordinal)];
    }

    /// <summary>Null when nothing changes.</summary>
    /// <param name="cluster">Null for a route that answers itself.</param>
    public static Steering? Compile(Route route, WeightedCluster? cluster)
    {
        // The cluster's first: what is less specific comes later and wins (Envoy).
        var request = cluster is null ? route.RequestHeaders : cluster.RequestHeaders.Then(route.RequestHeaders);
        var response = cluster is null ? route.ResponseHeaders : cluster.ResponseHeaders.Then(route.ResponseHeaders);
        var forward = route.Action as RouteAction.Forward;
        return request.IsNone && response.IsNone && forward is not ({ HostRewrite: not null } or { PathRewrite: not null }) ? null : new Steering(route, forward, request, response);
    }

    /// <summary>Changes the request; what it returns gives the caller's back. Null when there is nothing to give back.</summary>
    public RequestBefore? Apply(HttpRequestMessage request)
    {
        if (_touched.Length == 0 && _path is null)
        {
            return null;
        }

        var before = new RequestBefore(request, _touched);
        if (_path is not null)
        {
            request.RequestUri = WithPath(request.RequestUri!, PathRewriter.Rewrite(_path, _match, request.RequestUri!.AbsolutePath));
        }

        if (_host is not null)
        {
            request.Headers.Remove("Host");
            request.Headers.TryAddWithoutValidation("Host", _host);
        }

        foreach (var change in _request)
        {
            Change(change, request.Headers, request.Content?.Headers);
        }

        return before;
    }

    public void Apply(HttpResponseMessage response)
    {
        foreach (var change in _response)
        {
            Change(change, response.Headers, response.Content.Headers);
        }
    }

    /// <summary>The same place with another path; its query stays, beside one that the new path brings.</summary>
    internal static Uri WithPath(Uri uri, string path)
    {
        var query = uri.Query;
        if (query.Length > 1 && path.Contains('?', StringComparison.Ordinal))
        {
            query = "&" + query[1..];
        }

        return new Uri(uri.GetLeftPart(UriPartial.Authority) + path.Replace("#", "%23", StringComparison.Ordinal) + query);
    }

    private static void Change(HeaderChange change, HttpHeaders headers, HttpContentHeaders? content)
    {
        // .NET keeps the headers that describe a body apart, and takes each name at one place only.
        var there = headers.NonValidated.Contains(change.Name) || (content?.NonValidated.Contains(change.Name) ?? false);
        if (change.Kind is HeaderChangeKind.Remove or HeaderChangeKind.Set || (change.Kind == HeaderChangeKind.SetIfPresent && there))
        {
            Remove(change.Name, headers, content);
        }

        var adds = change.Kind switch
        {
            HeaderChangeKind.Remove => false,
            HeaderChangeKind.AddIfAbsent => !there,
            HeaderChangeKind.SetIfPresent => there,
            _ => true,
        };
        if (adds && !headers.TryAddWithoutValidation(change.Name, change.Value))
        {
            content?.TryAddWithoutValidation(change.Name, change.Value);
        }
    }

    internal static void Remove(string name, HttpHeaders headers, HttpContentHeaders? content)
    {
        // Remove throws for a name that belongs to the other place.
        if (headers.NonValidated.Contains(name))
        {
            headers.Remove(name);
        }

        if (content is not null && content.NonValidated.Contains(name))
        {
            content.Remove(name);
        }
    }
}

/// <summary>What the caller's request was before a route changed it. Used by one flow at a time.</summary>
internal sealed class RequestBefore
{
    private readonly Uri _uri;
    private readonly HttpContent? _content;
    private readonly string[] _names;
    private readonly List<(HttpHeaders Headers, string Name, string[] Values)> _values = [];

    /// <param name="names">The headers that are about to change.</param>
    public RequestBefore(HttpRequestMessage request, string[] names)
    {
        (_uri, _content, _names) = (request.RequestUri!, request.Content, names);
        foreach (var name in names)
        {
            Keep(request.Headers, name);
            Keep(_content?.Headers, name);
        }
    }

    /// <summary>Makes the request again what it was.</summary>
    public void Restore(HttpRequestMessage request)
    {
        request.RequestUri = _uri;
        foreach (var name in _names)
        {
            Steering.Remove(name, request.Headers, _content?.Headers);
        }

        foreach (var (headers, name, values) in _values)
        {
            headers.TryAddWithoutValidation(name, values);
        }
    }

    private void Keep(HttpHeaders? headers, string name)
    {
        if (headers is not null && headers.NonValidated.TryGetValues(name, out var values))
        {
            _values.Add((headers, name, [.. values]));
        }
    }
}

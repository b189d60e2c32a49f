using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Translation;
using Mesh.Spiffe;
using Mesh.Traffic;

namespace Mesh.ControlPlane.Api;

/// <summary>Explains what becomes of one request: what <c>mesh explain</c> prints.</summary>
internal static class RequestExplain
{
    private const string Outside = "outside";
    private const int MostHeaders = 100;
    private const int MostParts = 8;

    /// <param name="caller"><c>namespace/serviceaccount</c>, a SPIFFE ID, or <c>outside</c>.</param>
    /// <param name="path">With its query.</param>
    /// <param name="header">Each as <c>name: value</c>.</param>
    /// <param name="claim">Each as <c>name=value</c>; <c>a.b</c> is a member of an object, and several of one name are a list.</param>
    /// <param name="source">The address that it comes from.</param>
    public static IResult Answer(
        ModelStore store, MeshControlPlaneOptions options, IResourceTranslator translator,
        string? caller, string? service, string? @namespace, int? port, string? method, string? path, string[]? header, string[]? claim, string? source)
    {
        var model = store.Current;
        if (string.IsNullOrEmpty(service) || string.IsNullOrEmpty(caller))
        {
            return ApiEndpoints.Problem(400, "Not enough", "Give 'caller', 'service', 'method' and 'path'.");
        }

        SpiffeId? identity = null;
        if (caller != Outside && !TryCaller(caller, options.TrustDomain, out identity))
        {
            return ApiEndpoints.Problem(400, "Bad caller", $"caller is '{caller}'. Give namespace/serviceaccount, a SPIFFE ID, or '{Outside}'.");
        }

        if (@namespace is null or "" && identity?.Namespace is { } own && model.Services.ContainsKey(new ServiceName(own, service)))
        {
            // As names resolve for the caller.
            @namespace = own;
        }

        if (Explain.Find(model, options.ClusterDomain, service, @namespace, out var name) is { } problem)
        {
            return problem;
        }

        var found = model.Services[name];
        var number = port ?? (found.Ports.Any(p => p.Port == 80) || found.Ports.Length == 0 ? 80 : found.Ports[0].Port);
        if (!found.Ports.Any(p => p.Port == number))
        {
            return ApiEndpoints.Problem(404, "No such port", $"Service '{name}' has no port {number}. Use one of {string.Join(", ", found.Ports.Select(p => p.Port))}.");
        }

        if (string.IsNullOrEmpty(method) || !method.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
        {
            return ApiEndpoints.Problem(400, "Bad method", $"method is '{method}'. Give an HTTP method, such as GET; of a gRPC call it is POST.");
        }

        if (path is not ['/', ..])
        {
            return ApiEndpoints.Problem(400, "Bad path", $"path is '{path}'. Start it with '/'; of a gRPC call it is /package.Service/Method.");
        }

        if (TryHeaders(header ?? [], out var headers) is { } badHeader)
        {
            return ApiEndpoints.Problem(400, "Bad header", badHeader);
        }

        if (TryClaims(claim ?? [], out var claims) is { } badClaim)
        {
            return ApiEndpoints.Problem(400, "Bad claim", badClaim);
        }

        IPAddress? address = null;
        if (source is { Length: > 0 } && !IPAddress.TryParse(source, out address))
        {
            return ApiEndpoints.Problem(400, "Bad source", $"source is '{source}'. Give an IP address.");
        }

        var question = path.IndexOf('?', StringComparison.Ordinal);
        var host = headers.FirstOrDefault(h => h.Key.Equals("host", StringComparison.OrdinalIgnoreCase)).Value ?? $"{name.Name}.{name.Namespace}";
        var target = question < 0 ? path : path[..question];
        // As a server reads it: dot segments removed, decoded once but for slashes.
        var read = Uri.TryCreate("http://mesh" + target, UriKind.Absolute, out var uri) ? PathString.FromUriComponent(uri).Value ?? target : target;
        var request = new AskedRequest(method, CanonicalHost.Of(host).Name, read, question < 0 ? string.Empty : path[(question + 1)..], headers)
        {
            IsAmbiguous = CanonicalPath.IsAmbiguous(read, target) || target.Contains('\\', StringComparison.Ordinal) || method.AsSpan().ContainsAnyInRange('a', 'z') || !CanonicalHost.Of(host).IsValid,
            Caller = identity,
            Source = address,
            Claims = claims,
        };
        return Results.Ok(new RequestVerdicts(model, options.Defaults, translator, TrustDomain.Parse(options.TrustDomain), new ResourceNames(options.ClusterDomain)).Of(request, name, number));
    }

    private static bool TryCaller(string text, string trustDomain, out SpiffeId? identity)
    {
        var id = text.StartsWith("spiffe:", StringComparison.Ordinal) ? text : text.Split('/') is [var ns, var account] ? $"spiffe://{trustDomain}/ns/{ns}/sa/{account}" : null;
        return SpiffeId.TryParse(id, out identity);
    }

    private static string? TryHeaders(string[] given, out List<KeyValuePair<string, string>> headers)
    {
        headers = [];
        foreach (var header in given)
        {
            var colon = header.IndexOf(':', StringComparison.Ordinal);
            if (colon < 1 || headers.Count == MostHeaders)
            {
                return headers.Count == MostHeaders ? $"There are more than {MostHeaders}." : $"'{header}' is no header. Give it as 'name: value'.";
            }

            headers.Add(new(header[..colon].Trim(), header[(colon + 1)..].Trim()));
        }

        return null;
    }

    private static string? TryClaims(string[] given, out JsonElement? claims)
    {
        claims = null;
        if (given.Length is 0 or > MostHeaders)
        {
            return given.Length == 0 ? null : $"There are more than {MostHeaders}.";
        }

        var token = new JsonObject();
        foreach (var claim in given)
        {
            var equals = claim.IndexOf('=', StringComparison.Ordinal);
            if (equals < 1)
            {
                return $"'{claim}' is no claim. Give it as 'name=value'.";
            }

            // As in a rule: a name with '/' is one claim, else '.' goes into objects.
            string[] parts = claim[..equals].Contains('/', StringComparison.Ordinal) ? [claim[..equals]] : claim[..equals].Split('.');
            if (parts.Length > MostParts)
            {
                return $"'{claim}' has {parts.Length} parts. Use at most {MostParts}.";
            }

            var place = token;
            foreach (var part in parts[..^1])
            {
                if (place[part] is not (null or JsonObject))
                {
                    return $"'{claim}' goes into '{part}', which has a value already.";
                }

                place = (JsonObject)(place[part] ??= new JsonObject());
            }

            var value = JsonValue.Create(claim[(equals + 1)..]);
            switch (place[parts[^1]])
            {
                case null:
                    place[parts[^1]] = value;
                    break;
                case JsonArray list:
                    list.Add(value);
                    break;
                case JsonValue first:
                    place[parts[^1]] = new JsonArray(first.DeepClone(), value);
                    break;
                default:
                    return $"'{claim}' has members already.";
            }
        }

        claims = JsonSerializer.SerializeToElement(token);
        return null;
    }
}

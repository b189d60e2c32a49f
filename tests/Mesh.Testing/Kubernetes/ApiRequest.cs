using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Mesh.Testing.Kubernetes;

/// <summary>A request, read as Kubernetes reads its path and query.</summary>
internal sealed record ApiRequest(string Group, string Version, string Plural, string Namespace, string Name, string Subresource)
{
    public required HttpContext Http { get; init; }

    public required string Verb { get; init; }

    public ApiUser User { get; set; } = ApiUser.Anonymous;

    /// <summary>A test sets objects up with their status; no HTTP request can.</summary>
    public bool KeepsStatus { get; init; }

    /// <summary>Told to the caller in Warning headers.</summary>
    public List<string> Warnings { get; } = [];

    public string this[string query] => Http.Request.Query[query].ToString();

    public bool Flag(string query) => Http.Request.Query.ContainsKey(query) && this[query] is "" or "true" or "1";

    public bool DryRun => this["dryRun"] == "All";

    /// <summary>Who wrote, for managedFields: as asked, or the first word of the user agent.</summary>
    public string FieldManager => this["fieldManager"] is { Length: > 0 } named ? named : Http.Request.Headers.UserAgent.ToString().Split('/', ' ')[0] is { Length: > 0 } agent ? agent : "unknown";

    public long Number(string query) =>
        this[query] is { Length: > 0 } text
            ? long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw StatusException.BadRequest($"invalid {query}: strconv.ParseUint: parsing \"{text}\": invalid syntax")
            : 0;

    /// <summary>A request of the server's own, for which no webhook is asked.</summary>
    public static ApiRequest Internal(KubeResource resource, string ns, string name, string subresource = "") =>
        new(resource.Group, resource.StorageVersion, resource.Plural, resource.Namespaced ? ns : "", name, subresource)
        {
            Http = new DefaultHttpContext(),
            Verb = "",
            User = ApiUser.Admin,
            IsInternal = true,
        };

    public bool IsInternal { get; init; }

    /// <summary>Server-side apply: who owns what is settled while merging.</summary>
    public bool IsApply => Verb == "patch" && Answer.ContentType(Http) == Patching.PatchBody.ApplyType;

    /// <summary>Null when the path is not one of an object or a list.</summary>
    public static ApiRequest? Parse(HttpContext http)
    {
        var parts = http.Request.Path.Value!.Split('/', StringSplitOptions.RemoveEmptyEntries);
        string group, version;
        if (parts is ["api", var core, ..])
        {
            (group, version, parts) = ("", core, parts[2..]);
        }
        else if (parts is ["apis", var named, var served, ..])
        {
            (group, version, parts) = (named, served, parts[3..]);
        }
        else
        {
            return null;
        }

        var ns = "";
        // /namespaces/x is an object, /namespaces/x/status a part of it, /namespaces/x/pods a list in it.
        if (parts is ["namespaces", var inside, not "status", ..])
        {
            (ns, parts) = (inside, parts[2..]);
        }

        if (parts.Length is 0 or > 3)
        {
            return null;
        }

        var name = parts.Length > 1 ? parts[1] : "";
        var request = new ApiRequest(group, version, parts[0], ns, name, parts.Length > 2 ? parts[2] : "") { Http = http, Verb = "" };
        return request with { Verb = VerbOf(request) };
    }

    private static string VerbOf(ApiRequest request) => request.Http.Request.Method switch
    {
        "GET" or "HEAD" when request.Flag("watch") => "watch",
        "GET" or "HEAD" when request.Name != "" => "get",
        "GET" or "HEAD" => "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" when request.Name != "" => "delete",
        "DELETE" => "deletecollection",
        _ => "",
    };
}

/// <summary>Who asks.</summary>
internal sealed record ApiUser(string Name, IReadOnlyList<string> Groups)
{
    public string Uid { get; init; } = "";

    public IReadOnlyDictionary<string, string[]> Extra { get; init; } = new Dictionary<string, string[]>();

    public static ApiUser Anonymous { get; } = new("system:anonymous", ["system:unauthenticated"]);

    public static ApiUser Admin { get; } = new("kubernetes-admin", ["system:masters", "system:authenticated"]);

    /// <summary>kube-controller-manager, which makes most pods.</summary>
    public static ApiUser Controller { get; } = new("system:serviceaccount:kube-system:replicaset-controller", ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"]);

    public bool IsMaster => Groups.Contains("system:masters");
}

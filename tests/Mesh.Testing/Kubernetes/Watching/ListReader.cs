using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Storage;

namespace Mesh.Testing.Kubernetes.Watching;

/// <summary>Lists: which version of the world, which part of it, and how the caller gets the rest.</summary>
internal sealed class ListReader(FakeKubeApiOptions options, ObjectStore store, Faults faults)
{
    public JsonObject List(ApiRequest request, KubeResource resource)
    {
        var selectors = new Selectors(resource, request.Namespace, "", request["labelSelector"], request["fieldSelector"]);
        var limit = request.Number("limit");
        var page = Page(request, resource, ref limit);
        var matching = page.Objects.Where(o => string.CompareOrdinal(o.Key, page.Start) > 0 && selectors.Match(o.Json)).ToList();
        var shown = limit > 0 ? matching.Take((int)limit).ToList() : matching;
        var metadata = new JsonObject { ["resourceVersion"] = page.Version.ToString(CultureInfo.InvariantCulture) };
        if (shown.Count < matching.Count)
        {
            metadata["continue"] = Token(page.Version, shown[^1].Key);
            if (selectors.IsEmpty)
            {
                metadata["remainingItemCount"] = matching.Count - shown.Count;
            }
        }

        return new JsonObject
        {
            ["kind"] = resource.ListKind,
            ["apiVersion"] = resource.ApiVersion(request.Version),
            ["metadata"] = metadata,
            ["items"] = new JsonArray([.. shown.Select(o => Item(request, resource, o.Json))]),
        };
    }

    private Page Page(ApiRequest request, KubeResource resource, ref long limit)
    {
        var (asked, match) = (request["resourceVersion"], request["resourceVersionMatch"]);
        if (request["continue"] is { Length: > 0 } token)
        {
            return asked is "" or "0" && match == ""
                ? Continued(resource, token)
                : throw StatusException.BadRequest("specifying resource version is not allowed when using continue");
        }

        CheckMatch(resource, asked, match);
        var version = request.Number("resourceVersion");
        if (match == "Exact" || (match == "" && limit > 0 && version > 0))
        {
            CheckNotAhead(version);
            return new Page(store.At(resource.Table, version) ?? throw TooOld(version), version, "");
        }

        if (asked != "")
        {
            CheckNotAhead(version);
            if (faults.StaleListsAt is { } stale && stale >= version && store.At(resource.Table, stale) is { } then)
            {
                return new Page(then, stale, "");
            }

            // Answered from the watch cache, which knows no pages.
            limit = version == 0 ? 0 : limit;
        }

        var (objects, now) = store.Now(resource.Table);
        return new Page(objects, now, "");
    }

    private static void CheckMatch(KubeResource resource, string asked, string match)
    {
        var error = (match, asked) switch
        {
            ("", _) => null,
            (_, "") => FieldError.Forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"),
            ("Exact", "0") => FieldError.Forbidden("resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""),
            ("Exact" or "NotOlderThan", _) => null,
            _ => FieldError.NotSupported("resourceVersionMatch", match, ["\"Exact\"", "\"NotOlderThan\""]),
        };
        if (error is not null)
        {
            throw StatusException.Invalid(resource with { Group = "meta.k8s.io", Kind = "ListOptions" }, "", [error]);
        }
    }

    private void CheckNotAhead(long version)
    {
        var now = store.Version;
        if (version > now)
        {
            throw new StatusException(504, "Timeout", $"Timeout: Too large resource version: {version}, current: {now}", new JsonObject
            {
                ["causes"] = new JsonArray(new JsonObject { ["reason"] = "ResourceVersionTooLarge", ["message"] = "Too large resource version" }),
            })
            { RetryAfter = 1 };
        }
    }

    private Page Continued(KubeResource resource, string token)
    {
        JsonObject read;
        try
        {
            read = (JsonObject)JsonNode.Parse(Convert.FromBase64String(token.Replace('-', '+').Replace('_', '/')))!;
        }
        catch (Exception bad) when (bad is FormatException or System.Text.Json.JsonException)
        {
            throw StatusException.BadRequest("continue key is not valid: " + bad.Message);
        }

        var (version, start, made) = ((long)read["rv"]!, (string)read["start"]!, DateTimeOffset.FromUnixTimeMilliseconds((long)read["made"]!));
        if (version < 0)
        {
            var (objects, now) = store.Now(resource.Table);
            return new Page(objects, now, start);
        }

        var isOld = options.Time.GetUtcNow() - made > options.ContinueLifetime;
        return (isOld ? null : store.At(resource.Table, version)) is { } then
            ? new Page(then, version, start)
            : throw new StatusException(410, "Expired", "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.")
            {
                Continue = Token(-1, start),
            };
    }

    private string Token(long version, string start)
    {
        var json = new JsonObject { ["v"] = "meta.k8s.io/v1", ["rv"] = version, ["start"] = start, ["made"] = options.Time.GetUtcNow().ToUnixTimeMilliseconds() };
        return Convert.ToBase64String(Encoding.UTF8.GetBytes(json.ToJsonString())).Replace('+', '-').Replace('/', '_');
    }

    private static StatusException TooOld(long version) => StatusException.Expired($"The resourceVersion for the provided list is too old: {version}");

    /// <summary>Items of built-in kinds do not repeat what the list says of their kind.</summary>
    private static JsonObject Item(ApiRequest request, KubeResource resource, JsonObject stored)
    {
        var json = Conversion.To(resource, request.Version, stored);
        if (!resource.IsCustom)
        {
            json.Remove("kind");
            json.Remove("apiVersion");
        }

        return json;
    }
}

/// <summary>A world to read from, after a key.</summary>
internal sealed record Page(IReadOnlyList<StoredObject> Objects, long Version, string Start);

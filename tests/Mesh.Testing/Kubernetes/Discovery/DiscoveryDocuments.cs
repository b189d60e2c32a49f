using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Mesh.Testing.Kubernetes.Discovery;

/// <summary>What the server says of itself: groups, kinds, version, health.</summary>
internal sealed class DiscoveryDocuments(FakeKubeApiOptions options, ResourceTable resources)
{
    /// <summary>Answered to whoever asks.</summary>
    public bool IsOpen(string path) => path is "/healthz" or "/livez" or "/readyz" or "/version" or "/version/";

    public async Task AnswerAsync(HttpContext http)
    {
        var path = http.Request.Path.Value!.TrimEnd('/');
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var json = parts switch
        {
            ["version"] => Version(),
            ["api"] => new JsonObject
            {
                ["kind"] = "APIVersions",
                ["versions"] = new JsonArray("v1"),
                ["serverAddressByClientCIDRs"] = new JsonArray(new JsonObject { ["clientCIDR"] = "0.0.0.0/0", ["serverAddress"] = http.Request.Host.Value }),
            },
            ["apis"] => new JsonObject { ["kind"] = "APIGroupList", ["apiVersion"] = "v1", ["groups"] = new JsonArray([.. Groups().Select(Group)]) },
            ["api", "v1"] => Resources("", "v1"),
            ["apis", var group] when Groups().Contains(group) => GroupDocument(group),
            ["apis", var group, var version] when resources.All.Any(r => r.Group == group && r.Versions.Contains(version)) => Resources(group, version),
            _ => null,
        };
        if (path == "/openapi/v2")
        {
            await OpenApi.AnswerAsync(http);
        }
        else if (parts is ["healthz" or "livez" or "readyz", ..])
        {
            await http.Response.WriteAsync("ok");
        }
        else if (json is not null && HttpMethods.IsGet(http.Request.Method))
        {
            await Answer.SendAsync(http, 200, json);
        }
        else
        {
            await Answer.NoPageAsync(http);
        }
    }

    private IEnumerable<string> Groups() => resources.All.Select(r => r.Group).Where(g => g != "").Distinct();

    private JsonObject GroupDocument(string group)
    {
        var json = (JsonObject)Group(group);
        json["kind"] = "APIGroup";
        json["apiVersion"] = "v1";
        return json;
    }

    private JsonNode Group(string group)
    {
        var versions = resources.All.Where(r => r.Group == group).SelectMany(r => r.Versions).Distinct().OrderDescending(VersionOrder.Instance)
            .Select(v => new JsonObject { ["groupVersion"] = $"{group}/{v}", ["version"] = v }).ToList();
        return new JsonObject { ["name"] = group, ["versions"] = new JsonArray([.. versions]), ["preferredVersion"] = versions[0].DeepClone() };
    }

    private JsonObject Resources(string group, string version)
    {
        var list = new JsonArray();
        foreach (var resource in resources.All.Where(r => r.Group == group && r.Versions.Contains(version)))
        {
            list.Add(Resource(resource));
            foreach (var sub in resource.HasStatus ? ["status", .. resource.Subresources] : resource.Subresources)
            {
                list.Add(new JsonObject
                {
                    ["name"] = $"{resource.Plural}/{sub}",
                    ["singularName"] = "",
                    ["namespaced"] = resource.Namespaced,
                    ["kind"] = sub switch { "token" => "TokenRequest", _ => resource.Kind },
                    ["verbs"] = new JsonArray([.. sub switch { "status" => ["get", "patch", "update"], _ => (string[])["create"] }]),
                });
            }
        }

        return new JsonObject { ["kind"] = "APIResourceList", ["apiVersion"] = "v1", ["groupVersion"] = group == "" ? version : $"{group}/{version}", ["resources"] = list };
    }

    private static JsonObject Resource(KubeResource resource)
    {
        var json = new JsonObject
        {
            ["name"] = resource.Plural,
            ["singularName"] = resource.Singular == "" ? resource.Kind.ToLowerInvariant() : resource.Singular,
            ["namespaced"] = resource.Namespaced,
            ["kind"] = resource.Kind,
            ["verbs"] = new JsonArray([.. resource.Verbs.Select(v => (JsonNode)v)]),
        };
        if (resource.ShortNames.Count > 0)
        {
            json["shortNames"] = new JsonArray([.. resource.ShortNames.Select(n => (JsonNode)n)]);
        }

        if (resource.Categories.Count > 0)
        {
            json["categories"] = new JsonArray([.. resource.Categories.Select(n => (JsonNode)n)]);
        }

        return json;
    }

    private JsonObject Version()
    {
        var numbers = options.GitVersion.TrimStart('v').Split('.');
        return new JsonObject
        {
            ["major"] = numbers[0],
            ["minor"] = numbers[1],
            ["gitVersion"] = options.GitVersion,
            ["gitCommit"] = "",
            ["gitTreeState"] = "clean",
            ["buildDate"] = "2026-01-01T00:00:00Z",
            ["goVersion"] = "",
            ["compiler"] = "",
            ["platform"] = "linux/amd64",
        };
    }
}

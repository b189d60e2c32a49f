using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes;

// What a test does to the objects itself.
internal sealed partial class ApiServer
{
    /// <summary>A test's own write; it waits for nothing but memory.</summary>
    public JsonObject Set(JsonObject json, bool replace = false)
    {
        var resource = _resources.OfKind(json.Text("apiVersion"), json.Text("kind"))
            ?? throw new StatusException(404, "NotFound", $"no matches for kind \"{json.Text("kind")}\" in version \"{json.Text("apiVersion")}\"");
        var ns = resource.Namespaced ? json.Namespace() is { Length: > 0 } named ? named : "default" : "";
        if (ns != "" && Store.Find("/namespaces", "", ns) is null)
        {
            Set(new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = ns } });
        }

        var version = ResourceTable.Split(json.Text("apiVersion")).Version;
        var request = ApiRequest.Internal(resource, ns, json.Name()) with { Version = version, KeepsStatus = true };
        return replace && Store.Find(resource, ns, json.Name()) is not null
            ? Done(_writer.ChangeAsync(request, resource, _ => json.Copy(), create: true)).Json
            : Done(_writer.ChangeAsync(request, resource, old => Settled(old, json), create: true)).Json;
    }

    /// <summary>A controller's create: admission has its say.</summary>
    public async Task<bool> TryCreateAsync(string qualified, JsonObject json, CancellationToken ct)
    {
        var resource = Resource(qualified);
        var request = ApiRequest.Internal(resource, json.Namespace(), "") with { IsInternal = false, Verb = "create", User = ApiUser.Controller };
        try
        {
            ct.ThrowIfCancellationRequested();
            await _writer.CreateAsync(request, resource, json);
            return true;
        }
        catch (StatusException refused)
        {
            LastRefusal = refused.Message;
            return false;
        }
    }

    /// <summary>Why a controller could not do what it wanted.</summary>
    public string? LastRefusal { get; private set; }

    public void Delete(string resource, string ns, string name)
    {
        var found = Resource(resource);
        Done(_writer.DeleteAsync(ApiRequest.Internal(found, ns, name), found, null));
    }

    /// <summary>What a test says of an object, over what is there: its own fields win, and lists are taken whole.</summary>
    private static JsonObject Settled(JsonObject? old, JsonObject json)
    {
        if (old is null)
        {
            return json.Copy();
        }

        var settled = json.Copy();
        foreach (var field in (string[])["uid", "creationTimestamp", "generation", "deletionTimestamp", "managedFields"])
        {
            if (old.At("metadata", field) is { } kept)
            {
                settled.Meta().Default(field, kept.DeepClone());
            }
        }

        settled.Meta().Remove("resourceVersion");
        if (old["status"] is { } status)
        {
            settled.Default("status", status.DeepClone());
        }

        if (old.Text("spec", "clusterIP") is { Length: > 0 } address && settled["spec"] is JsonObject spec)
        {
            spec.Default("clusterIP", address);
        }

        return settled;
    }

    /// <summary>Writes of a test's own meet no webhook, hence nothing to wait for.</summary>
    private static T Done<T>(Task<T> task) => task.GetAwaiter().GetResult();
}

using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Storage;

internal sealed partial class ObjectWriter
{
    /// <summary>Ends an object, or begins to: finalizers keep it until they are gone.</summary>
    /// <returns>The object as it is then, and whether it is gone.</returns>
    public async Task<(JsonObject Json, bool Gone)> DeleteAsync(ApiRequest request, KubeResource resource, JsonObject? deleteOptions)
    {
        while (true)
        {
            var seen = store.Find(resource, request.Namespace, request.Name) ?? throw StatusException.NotFound(resource, request.Name);
            CheckPreconditions(resource, seen.Json, deleteOptions);
            await admission.ValidateAsync(request, resource, seen.Json, null);
            var dryRun = request.DryRun || deleteOptions.Texts("dryRun").Contains("All");
            if (dryRun)
            {
                return (seen.Json.Copy(), true);
            }

            if (resource.Qualified == "namespaces" || seen.Json.Items("metadata", "finalizers").Any() || deleteOptions.Text("propagationPolicy") == "Foreground")
            {
                if (MarkDeleted(resource, seen, deleteOptions) is { } marked)
                {
                    return (marked.Json, resource.Qualified == "namespaces" ? await EmptyAsync(marked) : TryEnd(resource, marked));
                }
            }
            else if (store.TryRemove(resource.Table, seen, out var last))
            {
                Removed(resource, last.Json);
                return (last.Json, true);
            }
        }
    }

    private static void CheckPreconditions(KubeResource resource, JsonObject json, JsonObject? deleteOptions)
    {
        var name = json.Name();
        if (deleteOptions.Text("preconditions", "uid") is { Length: > 0 } uid && uid != json.Text("metadata", "uid"))
        {
            throw StatusException.Conflict(resource, name, $"Precondition failed: UID in precondition: {uid}, UID in object meta: {json.Text("metadata", "uid")}");
        }

        if (deleteOptions.Text("preconditions", "resourceVersion") is { Length: > 0 } version && version != json.Text("metadata", "resourceVersion"))
        {
            throw StatusException.Conflict(resource, name, $"Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {json.Text("metadata", "resourceVersion")}");
        }
    }

    private StoredObject? MarkDeleted(KubeResource resource, StoredObject seen, JsonObject? deleteOptions)
    {
        if (seen.Json.At("metadata", "deletionTimestamp") is not null)
        {
            return seen;
        }

        var json = seen.Json.Copy();
        json.Meta()["deletionTimestamp"] = KubeJson.Time(options.Time.GetUtcNow());
        json.Meta()["deletionGracePeriodSeconds"] = deleteOptions.At("gracePeriodSeconds").Long() ?? 0;
        if (json.At("metadata", "generation") is { } generation)
        {
            json.Meta()["generation"] = (long)generation + 1;
        }

        if (resource.Qualified == "namespaces")
        {
            json.Map("status")["phase"] = "Terminating";
        }

        return store.TryWrite(resource.Table, seen, json, out var written) ? written : null;
    }

    /// <summary>A mark without a finalizer to wait for: what depends on the object is the garbage collector's, which is not here.</summary>
    private bool TryEnd(KubeResource resource, StoredObject marked)
    {
        if (marked.Json.Items("metadata", "finalizers").Any() || !store.TryRemove(resource.Table, marked, out var last))
        {
            return false;
        }

        Removed(resource, last.Json);
        return true;
    }

    /// <summary>Ends everything in a namespace, then the namespace, unless finalizers hold something in it.</summary>
    private async Task<bool> EmptyAsync(StoredObject ns)
    {
        var name = ns.Name;
        foreach (var resource in resources.All.Where(r => r.Namespaced && r.SharedGroup is null))
        {
            foreach (var inside in store.All(resource).Where(o => o.Namespace == name))
            {
                await DeleteAsync(ApiRequest.Internal(resource, name, inside.Name), resource, null);
            }
        }

        return TryEndNamespace(name);
    }

    private bool TryEndNamespace(string name)
    {
        var ns = store.Find("/namespaces", "", name);
        var isEmpty = !resources.All.Any(r => r.Namespaced && store.All(r).Any(o => o.Namespace == name));
        return ns is not null && isEmpty && ns.Json.At("metadata", "deletionTimestamp") is not null
            && !ns.Json.Items("metadata", "finalizers").Any() && store.TryRemove("/namespaces", ns, out _);
    }

    private void Removed(KubeResource resource, JsonObject json)
    {
        if (resource.Kind == "CustomResourceDefinition")
        {
            var defined = ResourceTable.FromDefinition(json);
            resources.Forget(json);
            foreach (var left in store.All(defined))
            {
                store.TryRemove(defined.Table, left, out _);
            }
        }

        if (resource.Namespaced)
        {
            TryEndNamespace(json.Namespace());
        }
    }
}

using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Discovery;
using Mesh.Testing.Kubernetes.Patching;
using Mesh.Testing.Kubernetes.Rbac;
using Mesh.Testing.Kubernetes.Storage;
using Mesh.Testing.Kubernetes.Watching;

namespace Mesh.Testing.Kubernetes;

// Get, list, watch, create, update, patch, delete.
internal sealed partial class ApiServer
{
    private async Task DoAsync(ApiRequest request, KubeResource resource)
    {
        switch (request.Verb)
        {
            case "get":
                var found = Store.Find(resource, request.Namespace, request.Name) ?? throw StatusException.NotFound(resource, request.Name);
                await Answer.SendAsync(request, 200, Show(request, resource, Conversion.To(resource, request.Version, found.Json)));
                break;
            case "list":
                await Answer.SendAsync(request, 200, Show(request, resource, _lists.List(request, resource)));
                break;
            case "watch":
                await new WatchStream(_options, Store, Faults, request, resource, json => Show(request, resource, json)) { BookmarkCalls = BookmarkCalls }.RunAsync(_stopping.Token);
                break;
            case "create":
                await CreateAsync(request, resource);
                break;
            case "update":
                var body = await Answer.BodyAsync(request);
                await SendChangedAsync(request, resource, await _writer.ChangeAsync(request, resource, _ => body.Copy()));
                break;
            case "patch":
                var (change, create) = PatchBody.Read(request, resource, await Answer.RawBodyAsync(request), KubeJson.Time(_options.Time.GetUtcNow()));
                if (create && Store.Find(resource, request.Namespace, request.Name) is null)
                {
                    Authorize(request.User, Authorizer.Of(request) with { Verb = "create" });
                }

                await SendChangedAsync(request, resource, await _writer.ChangeAsync(request, resource, change, create));
                break;
            case "delete":
                await DeleteAsync(request, resource);
                break;
            case "deletecollection":
                await DeleteCollectionAsync(request, resource);
                break;
        }
    }

    /// <summary>As the caller accepts it.</summary>
    private JsonObject Show(ApiRequest request, KubeResource resource, JsonObject json) =>
        TableView.IsAsked(request) ? TableView.Of(request, resource, json, _options.Time.GetUtcNow()) : json;

    private async Task CreateAsync(ApiRequest request, KubeResource resource)
    {
        var body = await Answer.BodyAsync(request);
        if (_reviews.Answer(request, resource, body) is { } reviewed)
        {
            await Answer.SendAsync(request, 201, reviewed);
            return;
        }

        if (request.Subresource == "token")
        {
            _ = Store.Find(resource, request.Namespace, request.Name) ?? throw StatusException.NotFound(resource, request.Name);
            await Answer.SendAsync(request, 201, _reviews.IssueToken(request, body));
            return;
        }

        if (request.Name != "")
        {
            throw StatusException.NotAllowed();
        }

        var made = await _writer.CreateAsync(request, resource, body);
        await Answer.SendAsync(request, 201, Conversion.To(resource, request.Version, made));
    }

    private static Task SendChangedAsync(ApiRequest request, KubeResource resource, (JsonObject Json, bool Created) changed) =>
        Answer.SendAsync(request, changed.Created ? 201 : 200, Conversion.To(resource, request.Version, changed.Json));

    private async Task DeleteAsync(ApiRequest request, KubeResource resource)
    {
        var seen = Store.Find(resource, request.Namespace, request.Name);
        var (json, gone) = await _writer.DeleteAsync(request, resource, await Answer.DeleteOptionsAsync(request));
        if (!gone || resource.Qualified is "pods" or "namespaces")
        {
            await Answer.SendAsync(request, 200, Conversion.To(resource, request.Version, json));
            return;
        }

        var details = new JsonObject { ["name"] = request.Name };
        if (resource.Group != "")
        {
            details["group"] = resource.Group;
        }

        details["kind"] = resource.Plural;
        details["uid"] = seen?.Json.Text("metadata", "uid");
        await Answer.SendAsync(request, 200, new JsonObject { ["kind"] = "Status", ["apiVersion"] = "v1", ["metadata"] = new JsonObject(), ["status"] = "Success", ["details"] = details });
    }

    private async Task DeleteCollectionAsync(ApiRequest request, KubeResource resource)
    {
        var options = await Answer.DeleteOptionsAsync(request);
        var list = _lists.List(request, resource);
        foreach (var item in list.Items("items").OfType<JsonObject>())
        {
            await _writer.DeleteAsync(request with { Name = item.Name(), Namespace = item.Namespace() }, resource, options);
        }

        await Answer.SendAsync(request, 200, list);
    }
}

using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes;

namespace Mesh.Benchmarks.Plane;

/// <summary>Objects of a cluster, in an API server of this process: the control plane lists and watches them as it does anywhere.</summary>
/// <remarks>An endpoint that comes is a new Pod and a change of the slice, one that goes is a change of the slice and a deletion. The API server's work is not the control plane's.</remarks>
internal sealed class KubernetesFeed(PlaneTopology topology, FakeKubeApi api) : IPlaneFeed
{
    public static async Task<KubernetesFeed> StartAsync(PlaneTopology topology)
    {
        var feed = new KubernetesFeed(topology, await FakeKubeApi.StartAsync());
        feed.Fill();
        return feed;
    }

    public IReadOnlyList<string> Arguments(string scratch)
    {
        var token = Path.Combine(scratch, "token");
        File.WriteAllText(token, api.Token);
        return ["kubernetes", "--api-server", api.Address.ToString(), "--api-token-file", token];
    }

    /// <summary>It asks for itself.</summary>
    public Task FillAsync(PlaneProcess plane) => Task.CompletedTask;

    public Task ApplyAsync(PlaneProcess plane, PlaneService service, PlaneChange change)
    {
        if (change.Added)
        {
            api.Apply(Pod(service, change.Address));
        }

        api.Apply(Slice(service));
        if (!change.Added)
        {
            api.Delete("pods", service.Namespace, PodName(service, change.Address));
        }

        return Task.CompletedTask;
    }

    public async Task<string> TokenAsync(PlaneProcess plane, string ns) =>
        (await IPlaneFeed.PostAsync(
            new Uri(api.Address, $"/api/v1/namespaces/{ns}/serviceaccounts/{PlaneIdentities.Account}/token"), api.Token,
            $$"""
            {"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"audiences":["meshlib.io"],"expirationSeconds":3600,
             "boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"{{PlaneIdentities.Account}}","uid":"{{(string)api.Get("pods", ns, PlaneIdentities.Account)["metadata"]!["uid"]!}}"} } }
            """)).GetProperty("status").GetProperty("token").GetString()!;

    public ValueTask DisposeAsync() => api.DisposeAsync();

    private void Fill()
    {
        foreach (var ns in topology.Services.Select(s => s.Namespace).Distinct().Append("mesh-system"))
        {
            api.Apply(new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = ns } });
            api.Apply(new JsonObject { ["apiVersion"] = "v1", ["kind"] = "ServiceAccount", ["metadata"] = new JsonObject { ["name"] = PlaneIdentities.Account, ["namespace"] = ns } });
            api.Apply(new JsonObject
            {
                ["apiVersion"] = "v1",
                ["kind"] = "Pod",
                ["metadata"] = new JsonObject { ["name"] = PlaneIdentities.Account, ["namespace"] = ns },
                ["spec"] = new JsonObject { ["serviceAccountName"] = PlaneIdentities.Account, ["containers"] = new JsonArray(new JsonObject { ["name"] = "app", ["image"] = "client" }) },
            });
        }

        foreach (var service in topology.Services)
        {
            api.Apply(Parse($$"""
                {"apiVersion":"v1","kind":"Service","metadata":{{Meta(service, service.Name, service.Name)}},
                 "spec":{"clusterIP":"10.200.{{service.Index / 250}}.{{service.Index % 250 + 1}}","clusterIPs":["10.200.{{service.Index / 250}}.{{service.Index % 250 + 1}}"],
                 "selector":{"app":"{{service.Name}}"},"ports":[{"name":"http","port":80,"targetPort":8080,"protocol":"TCP"}]} }
                """));
            foreach (var address in service.Addresses)
            {
                api.Apply(Pod(service, address));
            }

            api.Apply(Slice(service));
        }
    }

    private static JsonObject Pod(PlaneService service, string address) => Parse($$"""
        {"apiVersion":"v1","kind":"Pod","metadata":{{Meta(service, PodName(service, address), service.Name)}},
         "spec":{"serviceAccountName":"{{service.Name}}","nodeName":"node-{{address[^1]}}",
          "containers":[{"name":"app","image":"registry.example/{{service.Name}}:1.2.3","env":[{"name":"LOG_LEVEL","value":"info"},{"name":"PORT","value":"8080"}],
           "resources":{"requests":{"cpu":"100m","memory":"128Mi"},"limits":{"memory":"256Mi"} },"ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}],
           "readinessProbe":{"httpGet":{"path":"/ready","port":"http"},"periodSeconds":10},"volumeMounts":[{"name":"token","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount","readOnly":true}]}],
          "volumes":[{"name":"token","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"} },{"configMap":{"name":"kube-root-ca.crt"} }]} }],
          "tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}]},
         "status":{"phase":"Running","podIP":"{{address}}","podIPs":[{"ip":"{{address}}"}],"hostIP":"10.250.0.{{address[^1]}}",
          "conditions":[{"type":"Initialized","status":"True"},{"type":"Ready","status":"True"},{"type":"ContainersReady","status":"True"},{"type":"PodScheduled","status":"True"}]} }
        """);

    private static JsonObject Slice(PlaneService service) => Parse($$"""
        {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice",
         "metadata":{"name":"{{service.Name}}-1","namespace":"{{service.Namespace}}","labels":{"kubernetes.io/service-name":"{{service.Name}}","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io"} },
         "addressType":"IPv4","ports":[{"name":"http","port":8080,"protocol":"TCP"}],
         "endpoints":[{{string.Join(',', service.Addresses.Select(a => Endpoint(service, a)))}}]}
        """);

    private static string Endpoint(PlaneService service, string address) =>
        $$"""{"addresses":["{{address}}"],"conditions":{"ready":true,"serving":true,"terminating":false},"nodeName":"node-{{address[^1]}}","zone":"zone-{{address[^1] % 3}}","targetRef":{"kind":"Pod","namespace":"{{service.Namespace}}","name":"{{PodName(service, address)}}"} }""";

    private static string Meta(PlaneService service, string name, string app) =>
        $$"""{"name":"{{name}}","namespace":"{{service.Namespace}}","labels":{"app":"{{app}}","app.kubernetes.io/part-of":"bench","pod-template-hash":"5d4f8c7b9"} }""";

    private static string PodName(PlaneService service, string address) => $"{service.Name}-{address.Replace('.', '-')}";

    private static JsonObject Parse(string json) => (JsonObject)JsonNode.Parse(json)!;
}

using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes;
using Mesh.Testing.Kubernetes.Controllers;
using Xunit;

namespace Mesh.Testing.Tests.Kubernetes;

public sealed class ControllerTests
{
    private const string Shop = """
        apiVersion: v1
        kind: Service
        metadata: { name: cart, namespace: shop }
        spec: { selector: { app: cart }, ports: [{ name: http, port: 80, targetPort: web }] }
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: { name: cart, namespace: shop }
        spec:
          replicas: 2
          selector: { matchLabels: { app: cart } }
          template:
            metadata: { labels: { app: cart } }
            spec: { containers: [{ name: cart, image: "cart:1", ports: [{ name: web, containerPort: 8080 }] }] }
        """;

    [Fact]
    public async Task Deployment_BecomesPodsAndEndpoints()
    {
        await using var api = await FakeKubeApi.StartAsync();
        api.Run(new EndpointsController(api));
        api.Run(new Kubelet(api));
        api.Run(new WorkloadController(api));

        api.Apply(Shop);
        await Eventually.Async(() => Ready(api) == 2, "two ready endpoints");
        Assert.Equal(8080, Slice(api)!.Items("ports").Single().At("port").Long());
        await Eventually.Async(() => api.Get("deployments.apps", "shop", "cart").At("status", "readyReplicas").Long() == 2, "the deployment says so");

        api.Apply(Shop.Replace("replicas: 2", "replicas: 1", StringComparison.Ordinal));
        await Eventually.Async(() => Ready(api) == 1, "one ready endpoint");

        api.Delete("services", "shop", "cart");
        await Eventually.Async(() => Slice(api) is null, "no slice");
    }

    private static int Ready(FakeKubeApi api) => Slice(api)?.Items("endpoints").Count(e => e.At("conditions", "ready")?.GetValue<bool>() == true) ?? 0;

    private static JsonObject? Slice(FakeKubeApi api) => api.Find("endpointslices.discovery.k8s.io", "shop", "cart-ipv4");
}

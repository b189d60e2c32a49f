using System.Globalization;
using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Controllers;

/// <summary>Gives every Pod an address and says that it runs and is ready; it starts nothing.</summary>
/// <param name="addressOf">The address of a pod; null: one of 10.244.0.0/16.</param>
/// <param name="isReady">Whether a pod is ready; null: every one is.</param>
internal sealed class Kubelet(FakeKubeApi api, Func<JsonObject, string>? addressOf = null, Func<JsonObject, bool>? isReady = null) : Controller(api)
{
    private int _addresses;

    protected override IReadOnlyList<string> Watched => ["/pods"];

    protected override void Reconcile()
    {
        foreach (var pod in Api.Store.All("/pods").Where(p => p.Json.Text("status", "phase") == "Pending"))
        {
            var number = ++_addresses;
            var address = addressOf?.Invoke(pod.Json.Copy()) ?? string.Create(CultureInfo.InvariantCulture, $"10.244.{(number >> 8) & 255}.{number & 255}");
            var ready = isReady?.Invoke(pod.Json.Copy()) ?? true;
            Api.Change("pods", pod.Namespace, pod.Name, json =>
            {
                var status = json.Map("status");
                status["phase"] = "Running";
                status["podIP"] = address;
                status["podIPs"] = new JsonArray(new JsonObject { ["ip"] = address });
                status["startTime"] = KubeJson.Time(Api.Options.Time.GetUtcNow());
                status["conditions"] = new JsonArray(new JsonObject { ["type"] = "Ready", ["status"] = ready ? "True" : "False", ["lastTransitionTime"] = KubeJson.Time(Api.Options.Time.GetUtcNow()) });
                status["containerStatuses"] = new JsonArray([.. json.Items("spec", "containers").Select(c => new JsonObject
                {
                    ["name"] = c.Text("name"),
                    ["image"] = c.Text("image"),
                    ["imageID"] = "",
                    ["ready"] = ready,
                    ["restartCount"] = 0,
                    ["state"] = new JsonObject { ["running"] = new JsonObject { ["startedAt"] = KubeJson.Time(Api.Options.Time.GetUtcNow()) } },
                })]);
            });
        }
    }
}

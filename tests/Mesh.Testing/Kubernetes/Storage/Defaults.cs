using System.Globalization;
using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Storage;

/// <summary>What the API server fills in for built-in kinds, as far as a mesh can see it.</summary>
internal static class Defaults
{
    private static int _addresses;

    public static void Fill(KubeResource resource, JsonObject json)
    {
        switch (resource.Qualified)
        {
            case "namespaces":
                json.Meta().Map("labels")["kubernetes.io/metadata.name"] = json.Name();
                json.Map("spec").Default("finalizers", new JsonArray("kubernetes"));
                json.Map("status").Default("phase", "Active");
                break;
            case "services":
                Service(json.Map("spec"));
                json.Default("status", new JsonObject { ["loadBalancer"] = new JsonObject() });
                break;
            case "pods":
                PodSpec(json.Map("spec"));
                json.Map("status").Default("phase", "Pending");
                json.Map("status").Default("qosClass", "BestEffort");
                break;
            case "deployments.apps" or "replicasets.apps" or "statefulsets.apps":
                json.Map("spec").Default("replicas", 1);
                Template(json);
                break;
            case "daemonsets.apps" or "jobs.batch":
                Template(json);
                break;
            case "secrets":
                Secret(json);
                break;
            case "mutatingwebhookconfigurations.admissionregistration.k8s.io" or "validatingwebhookconfigurations.admissionregistration.k8s.io":
                foreach (var webhook in json.Items("webhooks").OfType<JsonObject>())
                {
                    Webhook(webhook, resource.Kind.StartsWith("Mutating", StringComparison.Ordinal));
                }

                break;
            case "customresourcedefinitions.apiextensions.k8s.io":
                Definition(json);
                break;
        }
    }

    private static void Service(JsonObject spec)
    {
        spec.Default("type", "ClusterIP");
        spec.Default("sessionAffinity", "None");
        foreach (var port in spec.Items("ports").OfType<JsonObject>())
        {
            port.Default("protocol", "TCP");
            if (spec.Text("type") != "ExternalName")
            {
                port.Default("targetPort", port["port"]?.DeepClone());
            }
        }

        if (spec.Text("type") == "ExternalName")
        {
            return;
        }

        spec.Default("internalTrafficPolicy", "Cluster");
        spec.Default("ipFamilyPolicy", "SingleStack");
        if (spec.Text("clusterIP") == "")
        {
            var number = Interlocked.Increment(ref _addresses);
            spec["clusterIP"] = (string?)spec.Items("clusterIPs").FirstOrDefault()
                ?? string.Create(CultureInfo.InvariantCulture, $"10.96.{(number >> 8) & 255}.{number & 255}");
        }

        spec.Default("clusterIPs", new JsonArray(spec.Text("clusterIP")));
        spec.Default("ipFamilies", new JsonArray([.. spec.Texts("clusterIPs").Select(ip => (JsonNode)(ip.Contains(':', StringComparison.Ordinal) ? "IPv6" : "IPv4"))]));
    }

    private static void Template(JsonObject json)
    {
        if (json.At("spec", "template", "spec") is JsonObject spec)
        {
            PodSpec(spec, withServiceAccount: false);
        }
    }

    private static void PodSpec(JsonObject spec, bool withServiceAccount = true)
    {
        spec.Default("restartPolicy", "Always");
        spec.Default("dnsPolicy", "ClusterFirst");
        spec.Default("schedulerName", "default-scheduler");
        spec.Default("securityContext", new JsonObject());
        spec.Default("terminationGracePeriodSeconds", 30);
        if (withServiceAccount)
        {
            // The ServiceAccount admission of a real server, before any webhook.
            spec.Default("serviceAccountName", "default");
            spec.Default("enableServiceLinks", true);
        }

        if (spec.Text("serviceAccountName") is { Length: > 0 } account)
        {
            spec.Default("serviceAccount", account);
        }

        foreach (var container in spec.Items("initContainers").Concat(spec.Items("containers")).OfType<JsonObject>())
        {
            container.Default("resources", new JsonObject());
            container.Default("terminationMessagePath", "/dev/termination-log");
            container.Default("terminationMessagePolicy", "File");
            container.Default("imagePullPolicy", container.Text("image") is var image && (image.EndsWith(":latest", StringComparison.Ordinal) || !image.Split('/')[^1].Contains(':', StringComparison.Ordinal)) ? "Always" : "IfNotPresent");
            foreach (var port in container.Items("ports").OfType<JsonObject>())
            {
                port.Default("protocol", "TCP");
            }
        }

        foreach (var token in spec.Items("volumes").SelectMany(v => v.Items("projected", "sources")).Select(s => s.At("serviceAccountToken")).OfType<JsonObject>())
        {
            token.Default("expirationSeconds", 3600);
        }

        foreach (var projected in spec.Items("volumes").Select(v => v.At("projected")).OfType<JsonObject>())
        {
            projected.Default("defaultMode", 420);
        }
    }

    private static void Secret(JsonObject json)
    {
        json.Default("type", "Opaque");
        if (json["stringData"] is JsonObject plain)
        {
            foreach (var (name, value) in plain)
            {
                json.Map("data")[name] = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(value.Text()));
            }

            json.Remove("stringData");
        }
    }

    private static void Webhook(JsonObject webhook, bool mutating)
    {
        webhook.Default("failurePolicy", "Fail");
        webhook.Default("matchPolicy", "Equivalent");
        webhook.Default("namespaceSelector", new JsonObject());
        webhook.Default("objectSelector", new JsonObject());
        webhook.Default("timeoutSeconds", 10);
        if (mutating)
        {
            webhook.Default("reinvocationPolicy", "Never");
        }

        if (webhook.At("clientConfig", "service") is JsonObject service)
        {
            service.Default("port", 443);
        }

        foreach (var rule in webhook.Items("rules").OfType<JsonObject>())
        {
            rule.Default("scope", "*");
        }
    }

    private static void Definition(JsonObject json)
    {
        var spec = json.Map("spec");
        var names = spec.Map("names");
        names.Default("singular", names.Text("kind").ToLowerInvariant());
        names.Default("listKind", names.Text("kind") + "List");
        spec.Default("conversion", new JsonObject { ["strategy"] = "None" });
    }
}

using System.Globalization;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Sources;

namespace Mesh.ControlPlane.Injector;

/// <summary>Makes the containers that a sidecar consists of. Pure.</summary>
internal sealed class SidecarContainers(InjectionValues values, SidecarSettings settings, PodShape pod, Workload workload)
{
    /// <summary>Who validates the redirection: anybody but the proxy's user.</summary>
    private const int Nobody = 65534;

    /// <summary>Ports whose policies the sidecar fetches before it is ready, at most.</summary>
    private const int MostInboundPorts = 256;

    private static readonly SidecarSettings Defaults = new();

    /// <summary>Writes the rules once, and ends.</summary>
    public JsonObject Init() => new()
    {
        ["name"] = InjectedNames.Init,
        ["image"] = Image,
        ["imagePullPolicy"] = settings.ImagePullPolicy,
        ["args"] = Texts(["init", .. Rules()]),
        ["resources"] = Resources("10m", null, "16Mi", "64Mi"),
        ["securityContext"] = Security(0, null, settings.RedirectionBackend == Defaults.RedirectionBackend ? ["NET_ADMIN"] : ["NET_ADMIN", "NET_RAW"]),
        ["terminationMessagePolicy"] = "FallbackToLogsOnError",
    };

    /// <summary>Fails where nobody wrote them.</summary>
    public JsonObject Validate() => new()
    {
        ["name"] = InjectedNames.Validate,
        ["image"] = Image,
        ["imagePullPolicy"] = settings.ImagePullPolicy,
        ["args"] = Texts(settings.OutboundPort == Defaults.OutboundPort ? ["validate"] : ["validate", "--outbound-port", Number(settings.OutboundPort)]),
        ["resources"] = Resources("10m", null, "16Mi", "64Mi"),
        ["securityContext"] = Security(Nobody, Nobody, []),
        ["terminationMessagePolicy"] = "FallbackToLogsOnError",
    };

    public JsonObject Proxy()
    {
        var writesRules = settings.Redirection == Redirection.Sidecar;
        var container = new JsonObject
        {
            ["name"] = InjectedNames.Proxy,
            ["image"] = Image,
            ["imagePullPolicy"] = settings.ImagePullPolicy,
            ["args"] = Texts(writesRules ? ["init", "--run", .. Rules()] : ["run"]),
            ["env"] = Environment(),
            ["ports"] = new JsonArray(PortNamed(InjectedNames.InboundPort, settings.InboundPort), PortNamed(InjectedNames.AdminPort, settings.AdminPort)),
            ["startupProbe"] = Probe("/ready", period: 1, failures: 120),
            ["readinessProbe"] = Probe("/ready", period: 10, failures: 3),
            ["livenessProbe"] = Probe("/live", period: 10, failures: 3),
            ["resources"] = Resources(settings.CpuRequest, settings.CpuLimit, settings.MemoryRequest, settings.MemoryLimit),
            ["securityContext"] = writesRules ? Security(0, null, ["NET_ADMIN", "SETGID", "SETUID"]) : Security(settings.Uid, settings.Gid ?? settings.Uid, []),
            ["terminationMessagePolicy"] = "FallbackToLogsOnError",
            ["volumeMounts"] = new JsonArray(IdentityVolume.Mount()),
        };
        if (settings.Order == SidecarOrder.Native)
        {
            container["restartPolicy"] = "Always";
        }
        else if (Lifecycle() is { Count: > 0 } lifecycle)
        {
            container["lifecycle"] = lifecycle;
        }

        return container;
    }

    private string Image => settings.Image ?? values.Image;

    /// <summary>What <c>mesh-proxy init</c> is told; what it does by default it is not.</summary>
    private List<string> Rules()
    {
        var rules = new List<string>();
        Add("--proxy-uid", Number(settings.Uid), Number(Defaults.Uid));
        Add("--proxy-gid", settings.Gid is { } gid ? Number(gid) : string.Empty, string.Empty);
        Add("--backend", settings.RedirectionBackend, Defaults.RedirectionBackend);
        Add("--outbound-port", Number(settings.OutboundPort), Number(Defaults.OutboundPort));
        Add("--inbound-port", Number(settings.InboundPort), Number(Defaults.InboundPort));
        // 4191 it leaves alone by itself.
        var admin = settings.AdminPort == Defaults.AdminPort ? string.Empty : Number(settings.AdminPort);
        Add("--skip-inbound-ports", string.Join(',', new[] { settings.SkipInboundPorts, admin }.Where(p => p.Length > 0)), string.Empty);
        Add("--skip-outbound-ports", settings.SkipOutboundPorts, string.Empty);
        Add("--skip-subnets", settings.SkipSubnets, string.Empty);
        return rules;

        void Add(string option, string value, string standard)
        {
            if (value != standard)
            {
                rules.AddRange([option, value]);
            }
        }
    }

    private JsonArray Environment()
    {
        var environment = new JsonArray(
            Variable("MESH_CONTROL_PLANE", values.ControlPlane), Variable("MESH_TRUST_BUNDLE", InjectedNames.TrustBundle), Variable("MESH_TOKEN_FILE", InjectedNames.TokenFile),
            PodField("MESH_NAMESPACE", "metadata.namespace"), PodField("MESH_SERVICE_ACCOUNT", "spec.serviceAccountName"));
        if (workload.Name.Length > 0)
        {
            environment.Add(Variable("MESH_WORKLOAD", workload.Name));
        }

        environment.Add(PodField("MESH_INSTANCE_IPS", "status.podIPs"));
        Add("MESH_TRUST_DOMAIN", values.TrustDomain == "cluster.local" ? null : values.TrustDomain);
        Add("MESH_CLUSTER_DOMAIN", values.ClusterDomain == "cluster.local" ? null : values.ClusterDomain);
        Add("MESH_INBOUND_PORTS", InboundPorts() is { Length: > 0 } ports ? ports : null);
        AddProbePaths();
        Add("MESH_OPAQUE_PORTS", settings.OpaquePorts is { Length: 0 } ? "none" : settings.OpaquePorts);
        Add("MESH_SKIP_INBOUND_PORTS", settings.SkipInboundPorts.Length > 0 ? settings.SkipInboundPorts : null);
        Add("MESH_EGRESS", settings.Egress);
        Add("MESH_SERVER__UNLISTED_ACCESS", settings.DefaultInbound);
        Add("MESH_ACCESS_LOG", settings.AccessLog);
        Add("MESH_TRACES__ENABLED", settings.Traces switch { true => "true", false => "false", null => null });
        Add("MESH_TRACES__RATIO", settings.TraceRatio);
        Add("MESH_LOG_LEVEL", settings.LogLevel);
        Add("MESH_LOG_FORMAT", settings.LogFormat);
        Add("MESH_DRAIN_TIMEOUT", settings.DrainTimeout);
        Add("MESH_OUTBOUND_LISTEN", settings.OutboundPort == Defaults.OutboundPort ? null : $"127.0.0.1:{settings.OutboundPort},[::1]:{settings.OutboundPort}");
        Add("MESH_INBOUND_LISTEN", settings.InboundPort == Defaults.InboundPort ? null : $"[::]:{settings.InboundPort}");
        Add("MESH_ADMIN_LISTEN", settings.AdminPort == Defaults.AdminPort ? null : $"[::]:{settings.AdminPort}");
        foreach (var variable in settings.AdditionalEnvironment.Values)
        {
            environment.Add(variable.DeepClone());
        }

        return environment;

        void Add(string name, string? value)
        {
            if (value is not null)
            {
                environment.Add(Variable(name, value));
            }
        }

        void AddProbePaths()
        {
            var paths = pod.ProbePaths.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList();
            if (paths.TrueForAll(p => !p.Contains(',', StringComparison.Ordinal)))
            {
                Add("MESH_SERVER__PROBE_PATHS", paths.Count > 0 ? string.Join(',', paths) : null);
                return;
            }

            // A comma would make two of one.
            for (var i = 0; i < paths.Count; i++)
            {
                Add($"MESH_SERVER__PROBE_PATHS__{Number(i)}", paths[i]);
            }
        }
    }

    private string InboundPorts()
    {
        var ports = pod.TcpPorts.Concat(SettingText.Ranges(settings.InboundPorts).SelectMany(r => Enumerable.Range(r.First, r.Last - r.First + 1)))
            .Where(p => !SettingText.Holds(settings.SkipInboundPorts, p) && p != settings.AdminPort && p != settings.InboundPort && p != settings.OutboundPort);
        return string.Join(',', ports.Distinct().Order().Take(MostInboundPorts).Select(Number));
    }

    private JsonObject Lifecycle()
    {
        var lifecycle = new JsonObject();
        if (settings.Await)
        {
            List<string> command = [InjectedNames.Program, "await", "--timeout", "2m"];
            if (settings.AdminPort != Defaults.AdminPort)
            {
                command.AddRange(["--url", $"http://127.0.0.1:{settings.AdminPort}/ready"]);
            }

            lifecycle["postStart"] = new JsonObject { ["exec"] = new JsonObject { ["command"] = Texts(command) } };
        }

        if (settings.WaitBeforeExit > TimeSpan.Zero)
        {
            var time = string.Create(CultureInfo.InvariantCulture, $"{settings.WaitBeforeExit.TotalMilliseconds}ms");
            lifecycle["preStop"] = new JsonObject { ["exec"] = new JsonObject { ["command"] = Texts([InjectedNames.Program, "sleep", time]) } };
        }

        return lifecycle;
    }

    private JsonObject Probe(string path, int period, int failures) => new()
    {
        ["httpGet"] = new JsonObject { ["path"] = path, ["port"] = settings.AdminPort },
        ["periodSeconds"] = period,
        ["failureThreshold"] = failures,
    };

    private JsonObject Resources(string? cpu, string? mostCpu, string? memory, string? mostMemory)
    {
        var (requests, limits) = (new JsonObject(), new JsonObject());
        Add(requests, "cpu", cpu);
        Add(requests, "memory", memory);
        Add(limits, "cpu", mostCpu);
        Add(limits, "memory", mostMemory);
        Add(requests, "ephemeral-storage", settings.EphemeralStorageRequest);
        Add(limits, "ephemeral-storage", settings.EphemeralStorageLimit);
        var resources = new JsonObject();
        if (requests.Count > 0)
        {
            resources["requests"] = requests;
        }

        if (limits.Count > 0)
        {
            resources["limits"] = limits;
        }

        return resources;

        static void Add(JsonObject to, string name, string? amount)
        {
            if (amount is not null)
            {
                to[name] = amount;
            }
        }
    }

    /// <summary>As little as will do: pod security "restricted", but for who writes the rules.</summary>
    private static JsonObject Security(int user, int? group, string[] capabilities)
    {
        var granted = new JsonObject { ["drop"] = Texts(["ALL"]) };
        if (capabilities.Length > 0)
        {
            granted["add"] = Texts(capabilities);
        }

        var security = new JsonObject
        {
            ["allowPrivilegeEscalation"] = false,
            ["capabilities"] = granted,
            ["privileged"] = false,
            ["readOnlyRootFilesystem"] = true,
            ["runAsNonRoot"] = user != 0,
            ["runAsUser"] = user,
            ["seccompProfile"] = new JsonObject { ["type"] = "RuntimeDefault" },
        };
        if (group is { } id)
        {
            security["runAsGroup"] = id;
        }

        return security;
    }

    private static JsonObject PortNamed(string name, int number) => new() { ["name"] = name, ["containerPort"] = number, ["protocol"] = "TCP" };

    public static JsonObject Variable(string name, string value) => new() { ["name"] = name, ["value"] = value };

    public static JsonObject PodField(string name, string path) =>
        new() { ["name"] = name, ["valueFrom"] = new JsonObject { ["fieldRef"] = new JsonObject { ["fieldPath"] = path } } };

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(t => (JsonNode)t)]);

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What a pod shows who it is with, and what it knows the control plane by.</summary>
internal static class IdentityVolume
{
    /// <summary>Bound to the control plane: of no use to anybody else who gets hold of it.</summary>
    private const string Audience = Annotations.Domain;
    private const int TokenSeconds = 3600;

    public static JsonObject Volume() => new()
    {
        ["name"] = InjectedNames.Volume,
        ["projected"] = new JsonObject
        {
            ["sources"] = new JsonArray(
                new JsonObject { ["serviceAccountToken"] = new JsonObject { ["path"] = "token", ["audience"] = Audience, ["expirationSeconds"] = TokenSeconds } },
                new JsonObject
                {
                    ["configMap"] = new JsonObject { ["name"] = "mesh-trust-bundle", ["items"] = new JsonArray(new JsonObject { ["key"] = "ca.crt", ["path"] = "ca.crt" }) },
                }),
        },
    };

    public static JsonObject Mount() => new() { ["name"] = InjectedNames.Volume, ["mountPath"] = InjectedNames.Folder, ["readOnly"] = true };
}

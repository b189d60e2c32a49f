using System.Text;
using System.Text.Json.Nodes;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.Testing;
using Mesh.Testing.Kubernetes;

namespace Mesh.Cli.Tests;

/// <summary>A fake cluster, the mesh command with a kubeconfig of it, and what kubectl would do with its output.</summary>
internal sealed class InstalledCluster : IAsyncDisposable
{
    private readonly string _kubeconfig = Path.GetTempFileName();
    private readonly KubeApi _kubectl;

    private InstalledCluster(FakeKubeApi server)
    {
        Server = server;
        _kubectl = KubeApi.At(server.Address, server.Token, server.CaPem, TimeProvider.System);
        var trust = server.CaPem is { } pem ? $", certificate-authority-data: {Convert.ToBase64String(Encoding.UTF8.GetBytes(pem))}" : string.Empty;
        File.WriteAllText(_kubeconfig, $$$"""
            apiVersion: v1
            kind: Config
            current-context: fake
            contexts: [{name: fake, context: {cluster: fake, user: admin}}]
            users: [{name: admin, user: {token: {{{server.Token}}}}}]
            clusters: [{name: fake, cluster: {server: "{{{server.Address}}}"{{{trust}}}}}]
            """);
    }

    public FakeKubeApi Server { get; }

    public static async Task<InstalledCluster> StartAsync(FakeKubeApiOptions? options = null) => new(await FakeKubeApi.StartAsync(options));

    public Task<CliRun> RunAsync(params string[] args) => CliRun.RunAsync(new Dictionary<string, string> { ["KUBECONFIG"] = _kubeconfig, ["LANG"] = "en_US.UTF-8" }, args);

    /// <summary>The lines that the real kubectl writes.</summary>
    public async Task<string[]> KubectlAsync(string command, string manifests)
    {
        var cache = Directory.CreateTempSubdirectory("mesh-kubectl-");
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("kubectl", $"--kubeconfig {_kubeconfig} --cache-dir {cache.FullName} {command} -f -")
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        try
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(90));
            var (output, error) = (process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
            await process.StandardInput.WriteAsync(manifests);
            process.StandardInput.Close();
            await process.WaitForExitAsync(limit.Token);
            Assert.True(process.ExitCode == 0, await error);
            return (await output).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }

            cache.Delete(recursive: true);
        }
    }

    /// <summary>kubectl apply --server-side.</summary>
    public async Task ApplyAsync(string manifests)
    {
        foreach (var item in YamlJson.Parse(manifests))
        {
            await _kubectl.PatchAsync(InstalledKinds.Path(item)!, item, KubePatch.Apply, "kubectl", TestContext.Current.CancellationToken);
        }
    }

    /// <summary>kubectl delete; of a namespace with all that is in it, as its controller does.</summary>
    public async Task DeleteAsync(string manifests)
    {
        foreach (var item in YamlJson.Parse(manifests))
        {
            if (item["kind"]!.ToString() == "Namespace")
            {
                foreach (var resource in new[] { "secrets", "configmaps", "leases.coordination.k8s.io" })
                {
                    foreach (var left in Server.List(resource, item.Name()))
                    {
                        Server.Delete(resource, item.Name(), left.Name());
                    }
                }
            }

            await _kubectl.DeleteAsync(InstalledKinds.Path(item)!, TestContext.Current.CancellationToken);
        }
    }

    public async Task InstallAsync(params string[] args)
    {
        var run = await RunAsync(["install", .. args]);
        Assert.Equal(0, run.ExitCode);
        await ApplyAsync(run.Out);
    }

    /// <summary>What a control plane that runs well leaves in the cluster.</summary>
    public void RunsWell(TestCa ca)
    {
        var replicas = Server.Get("deployments.apps", "mesh-system", "mesh-control-plane")["spec"]!["replicas"]!.DeepClone();
        Server.Change("deployments.apps", "mesh-system", "mesh-control-plane", d => d["status"] = new JsonObject { ["replicas"] = replicas.DeepClone(), ["readyReplicas"] = replicas.DeepClone(), ["updatedReplicas"] = replicas.DeepClone() });
        foreach (var (resource, name) in new[] { ("mutatingwebhookconfigurations.admissionregistration.k8s.io", "mesh-injector"), ("validatingwebhookconfigurations.admissionregistration.k8s.io", "mesh-validator") })
        {
            Server.Change(resource, "", name, c =>
            {
                foreach (var webhook in c["webhooks"]!.AsArray())
                {
                    webhook!["clientConfig"]!["caBundle"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(ca.RootPem));
                }
            });
        }

        foreach (var ns in Server.List("namespaces").Select(n => n.Name()))
        {
            Server.Apply(new JsonObject
            {
                ["apiVersion"] = "v1",
                ["kind"] = "ConfigMap",
                ["metadata"] = new JsonObject { ["name"] = "mesh-trust-bundle", ["namespace"] = ns },
                ["data"] = new JsonObject { ["ca.crt"] = ca.RootPem },
            });
        }

        Server.Apply(new JsonObject
        {
            ["apiVersion"] = "coordination.k8s.io/v1",
            ["kind"] = "Lease",
            ["metadata"] = new JsonObject { ["name"] = "mesh-control-plane", ["namespace"] = "mesh-system" },
            ["spec"] = new JsonObject { ["holderIdentity"] = "mesh-control-plane-1", ["leaseDurationSeconds"] = 15, ["renewTime"] = DateTimeOffset.UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", System.Globalization.CultureInfo.InvariantCulture) },
        });
    }

    public async ValueTask DisposeAsync()
    {
        _kubectl.Dispose();
        File.Delete(_kubeconfig);
        await Server.DisposeAsync();
    }
}

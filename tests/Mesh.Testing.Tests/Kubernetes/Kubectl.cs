using System.Diagnostics;
using Mesh.Testing.Kubernetes;

namespace Mesh.Testing.Tests.Kubernetes;

/// <summary>kubectl against a fake, with a configuration and a cache of its own.</summary>
internal sealed class Kubectl : IDisposable
{
    private readonly string _home = Directory.CreateTempSubdirectory("mesh-kubectl-").FullName;

    public Kubectl(FakeKubeApi api)
    {
        var ca = api.CaPem is { } pem ? $"certificate-authority-data: {Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(pem))}" : "";
        File.WriteAllText(Path.Combine(_home, "config"), $$"""
            apiVersion: v1
            kind: Config
            current-context: fake
            contexts: [{ name: fake, context: { cluster: fake, user: admin } }]
            users: [{ name: admin, user: { token: {{api.Token}} } }]
            clusters:
            - name: fake
              cluster:
                server: {{api.Address}}
                {{ca}}
            """);
    }

    public static string? Missing => Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(Path.Combine(folder, "kubectl"))) ? null : "kubectl is not installed (Debian: kubernetes-client)";

    public async Task<(int Code, string Output, string Error)> RunAsync(string arguments, string input = "")
    {
        using var process = Start(arguments);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        try
        {
            await process.StandardInput.WriteAsync(input);
            process.StandardInput.Close();
            var (output, error) = (process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
            await process.WaitForExitAsync(limit.Token);
            return (process.ExitCode, await output, await error);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    public async Task<string> OutputAsync(string arguments, string input = "")
    {
        var (code, output, error) = await RunAsync(arguments, input);
        return code == 0 ? output : throw new InvalidOperationException($"kubectl {arguments} ended with {code}: {error}");
    }

    /// <summary>For commands that do not end by themselves.</summary>
    public Process Start(string arguments)
    {
        var start = new ProcessStartInfo("kubectl", $"--kubeconfig {_home}/config --cache-dir {_home}/cache {arguments}")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["HOME"] = _home;
        return Process.Start(start)!;
    }

    public void Dispose() => Directory.Delete(_home, recursive: true);
}

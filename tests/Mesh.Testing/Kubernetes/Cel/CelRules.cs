using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Cel;

/// <summary>Evaluates the CEL rules of schemas (x-kubernetes-validations) with @bufbuild/cel in node, one child process.</summary>
/// <remarks>Types are not checked before values are there, and what a rule costs is not estimated: a real server does both.</remarks>
internal sealed class CelRules : IAsyncDisposable
{
    private static readonly SemaphoreSlim _install = new(1);

    private readonly Process _node;
    private readonly Lock _lock = new();

    private CelRules(Process node) => _node = node;

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Kubernetes", "Cel", "node");

    /// <summary>Why it can't be used here; null: it can.</summary>
    public static string? Missing =>
        (Environment.GetEnvironmentVariable("MESH_TEST_SKIP") ?? "").Contains("foreign-peers", StringComparison.Ordinal) ? "node and npm are not installed; ./eng/test installs them when run as root." : null;

    /// <summary>Installs what is needed, once, and starts node.</summary>
    public static async Task<CelRules> StartAsync(CancellationToken ct = default)
    {
        await _install.WaitAsync(ct);
        try
        {
            // npm writes this file last: an install that was cut off is done again.
            if (!File.Exists(Path.Combine(Folder, "node_modules", ".package-lock.json")))
            {
                await InstallAsync(ct);
            }
        }
        finally
        {
            _install.Release();
        }

        return new CelRules(Start("node", "cel.js"));
    }

    /// <summary>What the rules of a schema say of an object.</summary>
    /// <param name="old">The object before; null: it is new, and rules that look at oldSelf are not asked.</param>
    public IReadOnlyList<FieldError> Check(JsonObject schema, JsonObject json, JsonObject? old = null) =>
        Ask(new JsonObject { ["schema"] = schema.Copy(), ["object"] = json.Copy(), ["old"] = old?.Copy() });

    /// <summary>Rules that can't be read.</summary>
    public IReadOnlyList<FieldError> Compile(JsonObject schema) => Ask(new JsonObject { ["schema"] = schema.Copy(), ["compile"] = true });

    public async ValueTask DisposeAsync()
    {
        _node.StandardInput.Close();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        try
        {
            await _node.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            _node.Kill(entireProcessTree: true);
        }

        _node.Dispose();
    }

    private List<FieldError> Ask(JsonObject question)
    {
        string? line;
        lock (_lock)
        {
            _node.StandardInput.WriteLine(question.ToJsonString());
            _node.StandardInput.Flush();
            line = _node.StandardOutput.ReadLine();
        }

        var answer = JsonNode.Parse(line ?? throw new InvalidOperationException($"node ended: {_node.StandardError.ReadToEnd()}"));
        return answer.Text("failed") is { Length: > 0 } failed
            ? throw new InvalidOperationException(failed)
            : [.. answer.Items("errors").Select(e => new FieldError(e.Text("path"), e.Text("reason"), $"{(e.Text("reason") == "FieldValueForbidden" ? "Forbidden" : "Invalid value")}: {e.Text("message")}"))];
    }

    private static async Task InstallAsync(CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(TimeSpan.FromMinutes(3));
        using var npm = Start("npm", "ci --ignore-scripts --no-audit --no-fund");
        try
        {
            var (output, errors) = (npm.StandardOutput.ReadToEndAsync(limit.Token), npm.StandardError.ReadToEndAsync(limit.Token));
            await npm.WaitForExitAsync(limit.Token);
            _ = await output;
            if (npm.ExitCode != 0)
            {
                throw new InvalidOperationException($"npm ci failed: {await errors}");
            }
        }
        finally
        {
            if (!npm.HasExited)
            {
                npm.Kill(entireProcessTree: true);
            }
        }
    }

    private static Process Start(string program, string arguments) => Process.Start(new ProcessStartInfo(program, arguments)
    {
        WorkingDirectory = Folder,
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;
}

using System.Diagnostics;
using System.Globalization;

namespace Shop.Story;

/// <summary>The steps about who somebody is and what it may do.</summary>
internal sealed partial class StoryTeller
{
    private const int Asks = 20;
    private static readonly TimeSpan _normalLife = TimeSpan.FromDays(1);

    /// <summary>The life of certificates until the root has changed: the old root stays until nobody's certificate needs it, and a day is too long for a story.</summary>
    public static TimeSpan ShortLife { get; } = TimeSpan.FromSeconds(30);

    private async Task<string> IntrudeAsync(CancellationToken cancellationToken)
    {
        // No tenth payment: would one of these get through, the customers' ledger of refusals must not change.
        const string path = "/authorizations/7";
        await services.StartIntruderAsync("cart", cancellationToken);
        try
        {
            await Waiting.UntilAsync("the intruder to be in the mesh", TimeSpan.FromSeconds(45), async cancelled =>
            {
                services.ThrowIfAnyEnded();
                var answer = await services.AskAsIntruderAsync(path, cancelled);
                return answer.Status is 200 or 403 ? null : $"it was answered {answer.Status} (mesh-error {answer.MeshError ?? "none"})";
            }, cancellationToken);

            var asked = await AskAsync("outside", "nobody's", ask => services.AskFromOutsideAsync(ask % 2 == 0 ? "payments-1" : "payments-2", path, cancellationToken))
                + await AskAsync("shop/cart", "the cart's", _ => services.AskAsIntruderAsync(path, cancellationToken));

            var rightful = await controlPlane.Api.ExplainAsync("shop/storefront", "payments", HttpMethod.Put, path, cancellationToken);
            say($"story:   with the storefront's identity: as for the customers' pages, explained: {Checks.Text(rightful)}");
            return rightful.Allowed == true
                ? $"of {asked} payments that others asked for, beside the customers', {asked} were refused with 403, and explain says the same"
                : throw new StepFailedException("the storefront's payments succeed, but explain says that they do not");
        }
        finally
        {
            await services.EndIntruderAsync();
        }

        async Task<int> AskAsync(string caller, string whose, Func<int, Task<Answer>> ask)
        {
            List<Answer> answers = [];
            for (var i = 0; i < Asks; i++)
            {
                answers.Add(await ask(i));
            }

            var explained = await controlPlane.Api.ExplainAsync(caller, "payments", HttpMethod.Put, path, cancellationToken);
            if (Checks.NotRefused(answers, explained) is { } problem)
            {
                throw new StepFailedException($"with {whose} identity: {problem}; explained: {Checks.Text(explained)}");
            }

            say($"story:   with {whose} identity: {answers.Count} × 403, explained: {Checks.Text(explained)}");
            return answers.Count;
        }
    }

    private async Task<string> RotateCertificatesAsync(CancellationToken cancellationToken)
    {
        var api = controlPlane.Api;
        var before = (await api.IdentitiesAsync(cancellationToken)).Select(issued => issued.Serial).ToHashSet();
        var clients = await AllClientsAsync(cancellationToken);
        var fewest = 0;
        await api.RotateAsync(cancellationToken);
        await Waiting.UntilAsync("every workload to renew twice", TimeSpan.FromSeconds(75), async cancelled =>
        {
            var issued = await api.IdentitiesAsync(cancelled);
            var renewals = Checks.Renewals(clients, [.. issued.Where(identity => !before.Contains(identity.Serial))]);
            fewest = renewals.Values.Min();
            return fewest >= 2 ? null : string.Join(", ", renewals.Where(renewal => renewal.Value < 2).Select(renewal => $"{renewal.Key}: {renewal.Value}"));
        }, cancellationToken);
        return $"{clients.Count} workloads renewed their certificates of {ShortLife.TotalSeconds:0} s at least {fewest} times each";
    }

    private async Task<string> ChangeRootAsync(CancellationToken cancellationToken)
    {
        var api = controlPlane.Api;
        IReadOnlyList<MeshClient> clients;
        TimeSpan took;
        try
        {
            clients = await AllClientsAsync(cancellationToken);
            took = await RootChangedAsync(api, cancellationToken);
        }
        finally
        {
            // Whatever came of it: a later step keeps the control plane away for as long as a short one lives.
            await api.SetLeafLifeAsync(_normalLife, CancellationToken.None);
            await api.RotateAsync(CancellationToken.None);
        }

        await Waiting.UntilAsync("every workload to have a certificate for a day", TimeSpan.FromSeconds(30), async cancelled =>
        {
            var issued = await api.IdentitiesAsync(cancelled);
            var renewals = Checks.Renewals(clients, [.. issued.Where(identity => identity.NotAfter - identity.NotBefore > TimeSpan.FromHours(1))]);
            return renewals.Values.All(count => count >= 1) ? null : string.Join(", ", renewals.Where(renewal => renewal.Value < 1).Select(renewal => renewal.Key));
        }, cancellationToken);
        return string.Create(CultureInfo.InvariantCulture,
            $"{clients.Count} workloads had another root {took.TotalSeconds:0} s after it was asked for, without a restart; then certificates for a day");
    }

    /// <summary>Asks for another root and waits until the old one is gone.</summary>
    private async Task<TimeSpan> RootChangedAsync(MeshApi api, CancellationToken cancellationToken)
    {
        var old = (await api.RootAsync(cancellationToken)).Roots.Select(root => root.Id).ToHashSet();
        var started = Stopwatch.GetTimestamp();
        var phase = "";
        IReadOnlyList<RootEntry> roots = [];
        await api.RotateRootAsync(cancellationToken);
        await Waiting.UntilAsync("the old root to be gone", TimeSpan.FromSeconds(150), async cancelled =>
        {
            var status = await api.RootAsync(cancelled);
            roots = status.Roots;
            if (status.Phase != phase)
            {
                phase = status.Phase;
                say(string.Create(CultureInfo.InvariantCulture, $"story:   {phase} after {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s, roots trusted: {roots.Count}"));
            }

            return phase == "stable" ? null : $"{phase}, waiting for {string.Join(", ", status.Waiting.Select(wait => $"{wait.Node} ({wait.For})"))}";
        }, cancellationToken);
        return roots.Any(root => old.Contains(root.Id))
            ? throw new StepFailedException($"it is over, but an old root is still trusted: {string.Join(", ", roots.Select(root => $"{root.Id} {root.Role}"))}")
            : Stopwatch.GetElapsedTime(started);
    }

    /// <summary>Everyone who follows the control plane. A stream that was made with a certificate that ends is made anew, so one may be missing for a moment.</summary>
    private async Task<IReadOnlyList<MeshClient>> AllClientsAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<MeshClient> clients = [];
        await Waiting.UntilAsync("every workload to be connected to the control plane", TimeSpan.FromSeconds(30), async cancelled =>
        {
            clients = await controlPlane.Api.ClientsAsync(cancelled);
            return clients.Count >= Replica.All.Count ? null : $"only {clients.Count} of {Replica.All.Count} are";
        }, cancellationToken);
        return clients;
    }
}

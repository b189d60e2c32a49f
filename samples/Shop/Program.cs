using System.Runtime.InteropServices;
using Shop;
using Shop.Processes;

// The launcher must run on the main thread (see there), so nothing is awaited before it.
if (args is [ChildLauncher.Argument, ..])
{
    return ChildLauncher.Become(args);
}

if (!ShopOptions.TryParse(args, out var options, out var problem))
{
    Console.Error.WriteLine(problem);
    return problem == ShopOptions.Usage ? 0 : 64;
}

using var stopping = new CancellationTokenSource();
var signals = 0;
void Stop(PosixSignalContext context)
{
    // The first signal ends the shop in order; the second leaves it to the kernel to end the children.
    if (Interlocked.Increment(ref signals) == 1)
    {
        context.Cancel = true;
        stopping.Cancel();
    }
}

using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Stop);

try
{
    return await new ShopRun(options, Console.Out).RunAsync(stopping.Token);
}
catch (OperationCanceledException) when (stopping.IsCancellationRequested)
{
    return options.IsHeadless ? 130 : 0;
}
catch (ShopException failure)
{
    Console.Error.WriteLine($"The shop stopped: {failure.Message}");
    return 1;
}

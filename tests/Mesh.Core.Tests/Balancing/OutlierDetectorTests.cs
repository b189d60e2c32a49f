using CsCheck;
using Mesh.Config;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Balancing;

public sealed class OutlierDetectorTests : IDisposable
{
    private static readonly OutlierDetection _none = new(0, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(300), 100);
    private static readonly OutlierDetection _successRate = _none with { SuccessRate = new(1900, 100, 5, 100) };
    private static readonly OutlierDetection _failurePercentage = _none with { FailurePercentage = new(85, 100, 5, 50) };
    private readonly FakeTimeProvider _time = new();
    private readonly OutlierDetector _detector;
    private readonly List<Ejection> _ejections = [];
    private BalancedEndpoint[] _endpoints = [];

    public OutlierDetectorTests() => _detector = new OutlierDetector(_time, new Random(1));

    public void Dispose() => _detector.Stop();

    [Fact]
    [Trait("gRFC", "A50")]
    public void Sweep_SuccessRateFarBelowTheOthers_EjectsAndSaysWhy()
    {
        Use(_successRate, 10);
        Calls(99, 1, except: 3);
        CallsOf(3, 40, 60);
        Interval();

        var ejection = Assert.Single(_ejections);
        Assert.Same(_endpoints[3], ejection.Endpoint);
        Assert.Equal((Ejection.SuccessRate, TimeSpan.FromSeconds(30)), (ejection.Reason, ejection.Time));
        Assert.Equal("40 % of 100 calls succeeded, and below 59.5 % counts as an outlier (mean of 10 endpoints 93.1 %)", ejection.Detail);
        Assert.True(_endpoints[3].IsEjected(_time.GetTimestamp()));
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Sweep_AllFailAlike_EjectsNobody()
    {
        foreach (var failures in new[] { 0, 7, 33, 50, 100 })
        {
            Use(_successRate with { SuccessRate = new(0, 100, 3, 10) }, 7);
            Calls(100 - failures, failures);
            Interval();
        }

        Assert.Empty(_ejections);
    }

    [Theory]
    [Trait("gRFC", "A50")]
    [InlineData(4, 100, 0)] // four hosts, five needed
    [InlineData(10, 99, 0)] // too few calls each
    [InlineData(10, 100, 1)]
    public void Sweep_MinimumHostsAndVolume_Bound(int hosts, int calls, int ejected)
    {
        Use(_successRate, hosts);
        Calls(calls, 0, except: 0);
        CallsOf(0, 0, calls);
        Interval();
        Assert.Equal(ejected, _ejections.Count);
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Sweep_FailurePercentageAboveTheThreshold_Ejects()
    {
        Use(_failurePercentage, 6);
        Calls(50, 0, except: 5);
        CallsOf(4, 8, 42); // 84 % with the successes from before: below
        CallsOf(5, 7, 43); // 86 %
        Interval();

        var ejection = Assert.Single(_ejections);
        Assert.Same(_endpoints[5], ejection.Endpoint);
        Assert.Equal(Ejection.FailurePercentage, ejection.Reason);
        Assert.Equal("86 % of 50 calls failed, more than 85 %", ejection.Detail);
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Sweep_ExactlyTheThreshold_EjectsNobody()
    {
        Use(_failurePercentage, 5);
        Calls(15, 85);
        Interval();
        Assert.Empty(_ejections);
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Sweep_EnforcementPercent_IsTheShareThatIsDone()
    {
        Use(_failurePercentage with { FailurePercentage = new(85, 30, 5, 50), BaseEjectionTime = TimeSpan.FromSeconds(1) }, 5);
        for (var i = 0; i < 400; i++)
        {
            Calls(50, 0, except: 2);
            CallsOf(2, 0, 50);
            Interval();
        }

        Assert.InRange(_ejections.Count, 90, 150);
        Use(_failurePercentage with { FailurePercentage = new(85, 0, 5, 50) }, 5);
        _ejections.Clear();
        Calls(0, 100);
        Interval();
        Assert.Empty(_ejections);
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Sweep_StillBad_SitsOutLongerEachTimeUpToTheMaximum()
    {
        Use(_failurePercentage with { MaxEjectionTime = TimeSpan.FromSeconds(80) }, 5);
        for (var i = 0; i < 40; i++)
        {
            Calls(50, 0, except: 2);
            if (!_endpoints[2].IsEjected(_time.GetTimestamp()))
            {
                CallsOf(2, 0, 50);
            }

            Interval();
        }

        Assert.Equal([30, 60, 80, 80, 80], _ejections.Take(5).Select(e => e.Time.TotalSeconds));
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Sweep_QuietIntervals_ForgiveOneStepEach()
    {
        Use(_failurePercentage, 5);
        foreach (var quiet in new[] { 0, 0, 0, 2, 100 })
        {
            while (_endpoints[2].IsEjected(_time.GetTimestamp()))
            {
                Interval();
            }

            for (var i = 0; i < quiet; i++)
            {
                Calls(50, 0);
                Interval();
            }

            Calls(50, 0, except: 2);
            CallsOf(2, 0, 50);
            Interval();
        }

        // Thrice in a row; then two steps forgiven and one added; then all forgiven.
        Assert.Equal([30, 60, 90, 60, 30], _ejections.Select(e => e.Time.TotalSeconds));
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Sweep_CountsOfAnInterval_DoNotReachTheNext()
    {
        Use(_failurePercentage, 5);
        Calls(50, 0, except: 2);
        CallsOf(2, 0, 49);
        Interval();
        CallsOf(2, 0, 49);
        Calls(50, 0, except: 2);
        Interval();
        Assert.Empty(_ejections);
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Configure_ShorterInterval_CountsFromTheLastStart()
    {
        Use(_failurePercentage, 5);
        Calls(50, 0, except: 2);
        CallsOf(2, 0, 50);
        _time.Advance(TimeSpan.FromSeconds(4));
        Configure(_failurePercentage with { Interval = TimeSpan.FromSeconds(6) });
        _time.Advance(TimeSpan.FromSeconds(1.9));
        Assert.Empty(_ejections);
        _time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Single(_ejections);

        // Already over: at once. And then at the new pace.
        _time.Advance(TimeSpan.FromSeconds(5));
        Calls(50, 0, except: 3);
        CallsOf(3, 0, 50);
        Configure(_failurePercentage with { Interval = TimeSpan.FromSeconds(2) });
        _time.Advance(TimeSpan.Zero);
        Assert.Equal(2, _ejections.Count);
        Calls(50, 0, except: 4);
        CallsOf(4, 0, 50);
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(3, _ejections.Count);
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Configure_SameIntervalAgain_DoesNotPutTheSweepOff()
    {
        Use(_failurePercentage, 5);
        Calls(50, 0, except: 2);
        CallsOf(2, 0, 50);
        for (var i = 0; i < 10; i++)
        {
            Configure(_failurePercentage);
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Single(_ejections);
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Configure_None_LetsEverybodyBackIn()
    {
        Use(_failurePercentage with { ConsecutiveFailures = 5 }, 5);
        Calls(50, 0, except: 2);
        CallsOf(2, 0, 50);
        Assert.Equal(Ejection.ConsecutiveFailures, Assert.Single(_ejections).Reason);
        Configure(null);
        Assert.DoesNotContain(_endpoints, e => e.IsEjected(_time.GetTimestamp()));
        CallsOf(2, 0, 50);
        Interval();
        Assert.Single(_ejections);
    }

    [Fact]
    public void Timer_ExistsOnlyWhileAnAlgorithmNeedsIt()
    {
        var time = new TimersSeen();
        var detector = new OutlierDetector(time, new Random(1));
        detector.Configure(_none with { ConsecutiveFailures = 5 }, [], _ejections.Add);
        Assert.Equal(0, time.Running);
        detector.Configure(_successRate, [], _ejections.Add);
        detector.Configure(_failurePercentage, [], _ejections.Add);
        Assert.Equal((1, 1), (time.Running, time.Made));
        detector.Configure(_none, [], _ejections.Add);
        Assert.Equal(0, time.Running);
        detector.Configure(_successRate, [], _ejections.Add);
        detector.Stop();
        detector.Configure(_successRate, [], _ejections.Add);
        Assert.Equal(0, time.Running);
    }

    [Fact]
    public void Report_Counting_AllocatesNothing()
    {
        Use(_successRate with { FailurePercentage = new(85, 100, 5, 50), ConsecutiveFailures = int.MaxValue }, 5);
        Report(10_000);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Report(10_000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Report(int times)
        {
            for (var i = 0; i < times; i++)
            {
                _detector.Report(_endpoints[i % 5], i % 7 == 0, 1);
            }
        }
    }

    [Fact]
    public void Report_FromManyThreads_LosesNoCount()
    {
        var calls = new EndpointCalls();
        Parallel.For(0, 8, _ =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                calls.Count(failed: i % 4 == 0);
            }
        });
        Assert.Equal((120_000, 40_000), calls.Take());
        Assert.Equal((0, 0), calls.Take());
    }

    /// <summary>Whatever the settings and however the calls end, never more sit out than the percentage allows, or one; and nobody for longer than the maximum.</summary>
    [Fact]
    [Trait("gRFC", "A50")]
    public void Property_EjectionsStayWithinTheirBounds() => Gen.Select(
        Gen.Int[1, 30], Gen.Int[0, 100], Gen.Int[0, 5], Gen.Int[0, 100], Gen.Int[1, 3000], Gen.Int[0, int.MaxValue]).Sample((hosts, maxPercent, row, enforce, stdev, seed) =>
        {
            var time = new FakeTimeProvider();
            var detector = new OutlierDetector(time, new Random(seed));
            var endpoints = Endpoints(time, hosts);
            var ejections = new List<Ejection>();
            var settings = new OutlierDetection(row, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(50), maxPercent)
            {
                SuccessRate = new(stdev, enforce, 1, 1),
                FailurePercentage = new(50, enforce, 1, 1),
            };
            detector.Configure(settings, endpoints, ejections.Add);
            var random = new Random(seed);
            var most = Math.Max(1, hosts * maxPercent / 100);
            for (var step = 0; step < 60; step++)
            {
                for (var call = 0; call < 40; call++)
                {
                    // Some fail always, some now and then.
                    var at = random.Next(hosts);
                    detector.Report(endpoints[at], random.Next(3) < at % 4, time.GetTimestamp());
                    Assert.InRange(endpoints.Count(e => e.IsEjected(time.GetTimestamp())), 0, most);
                }

                time.Advance(TimeSpan.FromSeconds(4));
                Assert.InRange(endpoints.Count(e => e.IsEjected(time.GetTimestamp())), 0, most);
            }

            Assert.All(ejections, e => Assert.InRange(e.Time, TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(50)));
        }, iter: 200);

    private void Use(OutlierDetection settings, int hosts)
    {
        _endpoints = Endpoints(_time, hosts);
        Configure(settings);
    }

    private void Configure(OutlierDetection? settings) => _detector.Configure(settings, _endpoints, _ejections.Add);

    private void Interval() => _time.Advance(TimeSpan.FromSeconds(10));

    private void Calls(int successes, int failures, int except = -1)
    {
        for (var i = 0; i < _endpoints.Length; i++)
        {
            if (i != except)
            {
                CallsOf(i, successes, failures);
            }
        }
    }

    private void CallsOf(int endpoint, int successes, int failures)
    {
        for (var i = 0; i < successes + failures; i++)
        {
            _detector.Report(_endpoints[endpoint], failed: i >= successes, _time.GetTimestamp());
        }
    }

    private static BalancedEndpoint[] Endpoints(TimeProvider time, int hosts) =>
        [.. Enumerable.Range(1, hosts).Select(i => new BalancedEndpoint(new Endpoint($"10.0.0.{i}", 80, 1, true), new PeakEwma(time, PeakEwma.DefaultRtt)))];

    private sealed class TimersSeen : TimeProvider
    {
        public int Made { get; private set; }

        public int Running { get; private set; }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Made++;
            Running++;
            return new Seen(this);
        }

        private sealed class Seen(TimersSeen all) : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose() => all.Running--;

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}

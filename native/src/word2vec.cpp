#include "unrolled/word2vec.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include "portability.h"
#include "spin_barrier.h"
#include "unrolled/memory.h"
#include "word2vec_kernels.h"
#include "word2vec_reader.h"

namespace unrolled {
namespace {

constexpr int kWindowsAThread = 8;  // of a round: with fewer a thread would wait more than it works
constexpr int kLossEvery = 16;  // windows between two of which the loss is computed

const Word2vecKernels& kernels_of(Isa isa) {
#if defined(UNROLLED_X86_KERNELS)
    if (isa == Isa::avx512) return word2vec_avx512();
    if (isa == Isa::avx2) return word2vec_avx2();
#endif
    (void)isa;
    return word2vec_generic();
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Memory {
    explicit Memory(int64_t floats) : first(static_cast<float*>(take_memory(static_cast<size_t>(floats) * sizeof(float)))) {}
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    ~Memory() { give_memory(first); }
    float* first;
};

// The longest path in the tree and the largest bag decide how much room a window may need.
struct Sizes {
    explicit Sizes(const Word2vec& m) {
        const int64_t neighbours = m.cbow ? 1 : 2 * static_cast<int64_t>(m.window);
        const int64_t groups = m.bag_starts ? neighbours : ceil_div(neighbours, m.share);
        int64_t path = m.negative + 1;
        for (int64_t i = 0; m.path_starts && i < m.words; ++i) path = std::max(path, m.path_starts[i + 1] - m.path_starts[i]);
        int64_t bag = 1;
        for (int64_t i = 0; m.bag_starts && i < m.words; ++i) bag = std::max(bag, m.bag_starts[i + 1] - m.bag_starts[i]);
        rows = bag * (m.cbow ? 2 * static_cast<int64_t>(m.window) : 1);
        slots = m.run * (groups * path + 1) + 2 * static_cast<int64_t>(m.window) + 1;
    }
    int64_t rows;   // input rows that are averaged
    int64_t slots;  // gradients of a lane's windows in a round
};

// Where the gradients of a lane's windows lie until their round ends, and which rows of the tables they belong to. The
// windows follow each other in a sentence, so that most neighbours are the same: each place of it has one gradient.
struct Lane {
    struct Record {
        int32_t row, slot;
    };

    void start(float* memory, const Sizes& sizes, int run) {
        slots = memory;
        input.reserve(static_cast<size_t>(sizes.slots + sizes.rows * run));
        of_place.resize(Word2vecReader::kLongest);
        output.reserve(static_cast<size_t>(sizes.slots));
    }
    void clear() {
        used = 0;
        ++round;
        input.clear();
        output.clear();
    }
    // The gradient of the word at a place of the sentence, whose row it is.
    float* gradient(int place, int32_t row, int64_t stride) {
        Mark& mark = of_place[static_cast<size_t>(place)];
        if (mark.round != round) {
            mark = {round, used++};
            input.push_back({row, mark.slot});
            std::memset(slots + mark.slot * stride, 0, static_cast<size_t>(stride) * sizeof(float));
        }
        return slots + mark.slot * stride;
    }

    struct Mark {
        int64_t round;
        int32_t slot;
    };

    float* slots = nullptr;
    int32_t used = 0;
    int64_t round = 0;
    std::vector<Record> input, output;
    std::vector<Mark> of_place;
};

// Learns from one window after the other. With a lane the tables are only read.
class Learner {
public:
    Learner(const Word2vec& model, const Word2vecKernels& kernels, const Sizes& sizes)
        : m_(model), kernels_(kernels), hidden_(2 * model.stride) {
        rows_.reserve(static_cast<size_t>(sizes.rows));
        group_.stride = model.stride;
    }

    void learn(Word2vecReader& reader, Word2vecReport& report, Lane* lane) {
        lane_ = lane;
        report_ = &report;
        reader_ = &reader;
        group_.rate = reader.rate();
        listens_ = report.windows++ % kLossEvery == 0;
        if (m_.cbow) {
            mean_of_neighbours();
        } else if (m_.bag_starts) {
            word_predicts_neighbours();
        } else {
            neighbours_predict_word();
        }
    }

private:
    float* input(int32_t row) const { return m_.input + static_cast<int64_t>(row) * m_.stride; }
    float* output(int32_t row) const { return m_.output + static_cast<int64_t>(row) * m_.stride; }

    // Skip-gram [M13a]: word and neighbour predict each other; the neighbour is the input, as in word2vec's own program,
    // so that all of a window's predictions share their outputs and become one small matrix product [J16].
    void neighbours_predict_word() {
        const int32_t* kept = reader_->kept();
        const int here = reader_->position();
        group_.rows = 0;
        for (int j = reader_->left(); j < reader_->right(); ++j) {
            if (j == here) continue;
            float* row = input(kept[j]);
            group_.x[group_.rows] = row;
            group_.to_x[group_.rows++] = lane_ ? lane_->gradient(j, kept[j], m_.stride) : row;
            if (group_.rows == m_.share) flush(kept[here]);
        }
        flush(kept[here]);
    }

    void flush(int32_t word) {
        group_.fresh_x = false;
        if (group_.rows) predict(word);
        group_.rows = 0;
    }

    // Skip-gram over bags [B17]: the word's vector is the mean of its rows; it predicts every neighbour by itself.
    void word_predicts_neighbours() {
        const int32_t* kept = reader_->kept();
        const int here = reader_->position();
        rows_.clear();
        add_rows(kept[here]);
        begin_mean();
        for (int j = reader_->left(); j < reader_->right(); ++j)
            if (j != here) predict(kept[j]);
        end_mean();
    }

    // CBOW [M13a]: the mean of the neighbours predicts the word; each of them receives the whole gradient.
    void mean_of_neighbours() {
        const int32_t* kept = reader_->kept();
        const int here = reader_->position();
        rows_.clear();
        for (int j = reader_->left(); j < reader_->right(); ++j)
            if (j != here) add_rows(kept[j]);
        begin_mean();
        predict(kept[here]);
        if (!lane_ || m_.bag_starts) {
            end_mean();
            return;
        }
        for (int j = reader_->left(); j < reader_->right(); ++j)
            if (j != here) kernels_.add(lane_->gradient(j, kept[j], m_.stride), group_.to_x[0], m_.stride);
    }

    void add_rows(int32_t word) {
        if (!m_.bag_starts) {
            rows_.push_back(word);
            return;
        }
        rows_.insert(rows_.end(), m_.bag_rows + m_.bag_starts[word], m_.bag_rows + m_.bag_starts[word + 1]);
    }

    void begin_mean() {
        float* mean = hidden_.first;
        const auto count = static_cast<int64_t>(rows_.size());
        kernels_.mean(mean, m_.input, rows_.data(), count, 1.0f / static_cast<float>(count), m_.stride);
        group_.rows = 1;
        group_.x[0] = mean;
        slot_ = -1;
        if (lane_ && m_.bag_starts) {
            slot_ = lane_->used++;
            group_.to_x[0] = lane_->slots + slot_ * m_.stride;
        } else {
            group_.to_x[0] = mean + m_.stride;
        }
        group_.fresh_x = true;
    }

    void end_mean() {
        for (const int32_t row : rows_) {
            if (lane_) {
                lane_->input.push_back({row, slot_});
            } else {
                kernels_.add(input(row), group_.to_x[0], m_.stride);
            }
        }
    }

    void add_output(int32_t row, uint8_t label) {
        float* w = output(row);
        group_.w[group_.count] = w;
        group_.to_w[group_.count] = w;
        if (lane_) {
            const int32_t slot = lane_->used++;
            lane_->output.push_back({row, slot});
            group_.to_w[group_.count] = lane_->slots + slot * m_.stride;
        }
        group_.label[group_.count++] = label;
    }

    // The inputs of the group predict one word: against negatives drawn from the noise distribution (negative sampling,
    // [M13b] equation 4), or by the branches on the way to it in a binary tree (hierarchical softmax, [M13b] equation 3).
    void predict(int32_t word) {
        if (listens_) report_->losses += group_.rows;
        group_.count = 0;
        if (m_.path_starts) {
            for (int64_t i = m_.path_starts[word]; i < m_.path_starts[word + 1]; ++i) {
                add_output(m_.path_nodes[i], m_.path_labels[i]);
                if (group_.count == kGroupOutputs) learn_group();
            }
        } else {
            add_output(word, 1);
            for (int i = 0; i < m_.negative; ++i) {
                const int32_t drawn = fresh_negative(word);
                if (drawn < 0) continue;
                add_output(drawn, 0);
                drawn_[group_.count - 1] = drawn;
                if (group_.count == kGroupOutputs) learn_group();
            }
        }
        if (group_.count) learn_group();
    }

    // A negative that is neither the word itself nor in this group already; -1 if a small vocabulary has no other.
    int32_t fresh_negative(int32_t word) {
        for (int attempt = 0; attempt < 8; ++attempt) {
            const int32_t drawn = reader_->negative();
            bool fresh = drawn != word;
            for (int k = 0; k < group_.count; ++k) fresh = fresh && (group_.label[k] || drawn_[k] != drawn);
            if (fresh) return drawn;
        }
        return -1;
    }

    void learn_group() {
        group_.fresh_w = lane_ != nullptr;
        kernels_.learn(group_);
        group_.fresh_x = false;
        if (listens_) {
            // g is rate * (1 - p) in size, p the probability that the model gave to the right answer.
            for (int i = 0; i < group_.rows * group_.count; ++i)
                report_->loss -= std::log(std::max(1e-7f, 1.0f - std::abs(group_.g[i]) / group_.rate));
        }
        group_.count = 0;
    }

    const Word2vec& m_;
    const Word2vecKernels& kernels_;
    Memory hidden_;
    Word2vecGroup group_{};
    int32_t drawn_[kGroupOutputs];
    std::vector<int32_t> rows_;
    Word2vecReader* reader_ = nullptr;
    Word2vecReport* report_ = nullptr;
    Lane* lane_ = nullptr;
    int32_t slot_ = -1;
    bool listens_ = false;
};

// Calls work(index, size) on up to `threads` threads at once, all of which run: work may wait for the others.
template <class F>
void run_team(int threads, const F& work) {
    std::vector<std::thread> others;
    std::atomic<int> size{0};
    others.reserve(static_cast<size_t>(threads));
    try {
        for (int i = 1; i < threads; ++i)
            others.emplace_back([&, i] {
                int count;
                while ((count = size.load(std::memory_order_acquire)) == 0) std::this_thread::yield();
                work(i, count);
            });
    } catch (const std::system_error&) {  // fewer threads than asked for
    }
    const int count = static_cast<int>(others.size()) + 1;
    size.store(count, std::memory_order_release);
    work(0, count);
    for (std::thread& other : others) other.join();
}

Word2vecReport total(const std::vector<Word2vecReport>& parts) {
    Word2vecReport sum;
    for (const Word2vecReport& part : parts) {
        sum.windows += part.windows;
        sum.losses += part.losses;
        sum.loss += part.loss;
    }
    return sum;
}

template <class Part>
std::vector<Word2vecReport> reports_of(const std::vector<Part>& parts) {
    std::vector<Word2vecReport> reports;
    for (const Part& part : parts) reports.push_back(part->report);
    return reports;
}

// One place in the corpus: what a thread, or a lane, works on.
struct Place {
    Place(const Word2vec& m, int64_t epoch, bool fetches) : reader(m, epoch, fetches) {}
    Word2vecReader reader;
    Word2vecReport report;
    Lane lane;
};

std::vector<std::unique_ptr<Learner>> learners_of(int threads, const Word2vec& m, const Word2vecKernels& kernels,
                                                  const Sizes& sizes) {
    std::vector<std::unique_ptr<Learner>> learners;
    for (int i = 0; i < threads; ++i) learners.push_back(std::make_unique<Learner>(m, kernels, sizes));
    return learners;
}

Word2vecReport train_lock_free(const Word2vec& m, int64_t epoch, int64_t first, int64_t last, int threads,
                               const Word2vecKernels& kernels) {
    const Sizes sizes(m);
    std::vector<std::unique_ptr<Place>> places;
    for (int i = 0; i < threads; ++i) places.push_back(std::make_unique<Place>(m, epoch, true));
    const auto learners = learners_of(threads, m, kernels, sizes);
    std::atomic<int64_t> next{first};
    run_team(threads, [&](int index, int) {
        Place& place = *places[static_cast<size_t>(index)];
        for (int64_t chunk; (chunk = next.fetch_add(1)) < last;) {
            place.reader.open(chunk);
            while (place.reader.next()) learners[static_cast<size_t>(index)]->learn(place.reader, place.report, nullptr);
        }
    });
    return total(reports_of(places));
}

// Sums of rows, in order, some of them on their way: the row and its gradient often lie in another core's cache.
class Additions {
public:
    Additions(const Word2vecKernels& kernels, int64_t stride) : kernels_(kernels), stride_(stride) {}
    void add(float* to, const float* from) {
        for (int64_t u = 0; u < stride_; u += 16) {
            UNROLLED_PREFETCH(to + u);
            UNROLLED_PREFETCH(from + u);
        }
        if (waiting_ == kWaiting) {
            kernels_.add(to_[next_], from_[next_], stride_);
        } else {
            ++waiting_;
        }
        to_[next_] = to;
        from_[next_] = from;
        next_ = (next_ + 1) % kWaiting;
    }
    void finish() {
        for (; waiting_; --waiting_) {
            const int oldest = (next_ + kWaiting - waiting_) % kWaiting;
            kernels_.add(to_[oldest], from_[oldest], stride_);
        }
    }

private:
    static constexpr int kWaiting = 8;
    const Word2vecKernels& kernels_;
    const int64_t stride_;
    float* to_[kWaiting];
    const float* from_[kWaiting];
    int waiting_ = 0, next_ = 0;
};

// Which of `size` threads adds to a row.
inline int owner(int32_t row, int size) {
    const uint32_t mixed = static_cast<uint32_t>(row) * 2654435769u;
    return static_cast<int>(static_cast<uint64_t>(mixed) * static_cast<uint32_t>(size) >> 32);
}

Word2vecReport train_in_lanes(const Word2vec& m, int64_t epoch, int64_t first, int64_t last, int threads, int lanes,
                              const Word2vecKernels& kernels) {
    const Sizes sizes(m);
    const Memory memory(sizes.slots * m.stride * lanes);
    std::vector<std::unique_ptr<Place>> places;
    for (int i = 0; i < lanes; ++i) {
        places.push_back(std::make_unique<Place>(m, epoch, false));
        places.back()->lane.start(memory.first + i * sizes.slots * m.stride, sizes, m.run);
    }
    int64_t next = first;
    int running = 0;
    const auto assign = [&] {  // by one thread, in the order of the lanes
        running = 0;
        for (auto& place : places) {
            while (!place->reader.has_window() && next < last) place->reader.open(next++);
            running += place->reader.has_window();
        }
    };
    assign();
    const auto learners = learners_of(threads, m, kernels, sizes);
    SpinBarrier barrier;
    run_team(threads, [&](int index, int size) {
        Additions additions(kernels, m.stride);
        const auto collect = [&](float* table, const Lane& from, const std::vector<Lane::Record>& records) {
            for (const Lane::Record& record : records)
                if (size == 1 || owner(record.row, size) == index)
                    additions.add(table + record.row * m.stride, from.slots + record.slot * m.stride);
        };
        // A lane stays with its thread, and what it needs in the core's cache.
        const int begin = lanes * index / size, end = lanes * (index + 1) / size;
        while (running) {
            for (int i = begin; i < end; ++i) {
                if (i + 1 < end) places[static_cast<size_t>(i) + 1]->reader.fetch_window();
                Place& place = *places[static_cast<size_t>(i)];
                place.lane.clear();
                for (int k = 0; k < m.run && place.reader.next(); ++k) {
                    learners[static_cast<size_t>(index)]->learn(place.reader, place.report, &place.lane);
                    if (!place.reader.sentence_goes_on()) break;
                }
            }
            barrier.wait(size, [] {});
            for (const auto& place : places) {
                collect(m.input, place->lane, place->lane.input);
                collect(m.output, place->lane, place->lane.output);
            }
            additions.finish();
            barrier.wait(size, assign);
        }
    });
    return total(reports_of(places));
}

}  // namespace

Word2vecReport word2vec_train(const Word2vec& model, int64_t epoch, int64_t first, int64_t last, int threads, int lanes,
                              Isa isa) {
    const Word2vecKernels& kernels = kernels_of(isa);
    threads = std::max(1, threads);
    if (lanes > 0) {
        const int useful = std::max(1, lanes * model.run / kWindowsAThread);
        return train_in_lanes(model, epoch, first, last, std::min(threads, useful), lanes, kernels);
    }
    return train_lock_free(model, epoch, first, last, threads, kernels);
}

void word2vec_step(float* input, float* output, int64_t stride, const int32_t* inputs, int rows, const int32_t* outputs,
                   const uint8_t* labels, int count, float rate, Isa isa) {
    Word2vecGroup group{};
    group.rows = rows;
    group.count = count;
    group.stride = stride;
    group.rate = rate;
    for (int c = 0; c < rows; ++c) group.x[c] = group.to_x[c] = input + inputs[c] * stride;
    for (int k = 0; k < count; ++k) {
        group.w[k] = group.to_w[k] = output + outputs[k] * stride;
        group.label[k] = labels[k];
    }
    kernels_of(isa).learn(group);
}

}  // namespace unrolled

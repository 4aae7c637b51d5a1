// The corpus as windows: subsampled sentences, each word with its neighbours, and draws of the noise distribution.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "portability.h"
#include "unrolled/word2vec.h"

namespace unrolled {

// SplitMix64 (Steele, Lea and Flood 2014): one addition and a mixing function, so that any seed is a good one.
class Random {
public:
    explicit Random(uint64_t seed = 0) : state_(seed) {}
    uint64_t next() {
        uint64_t z = state_ += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    // Evenly from [0, below), from the upper half of `bits` (Lemire 2019; the bias is below 2^-32 * below).
    static int64_t below(uint64_t bits, int64_t below) {
        return static_cast<int64_t>((bits >> 32) * static_cast<uint64_t>(below) >> 32);
    }

private:
    uint64_t state_;
};

class Word2vecReader {
public:
    static constexpr int kLongest = 1024;  // kept words; what a longer sentence has beyond is a sentence of its own

    // fetches: windows follow each other on one core, so that rows can be asked for a window ahead.
    Word2vecReader(const Word2vec& model, int64_t epoch, bool fetches) : m_(model), epoch_(epoch), fetches_(fetches) {
        kept_.resize(kLongest);
        last_.resize(kLongest);
    }

    // Go to the first sentence of the chunk that comes at `place` in the epoch's order.
    void open(int64_t place) {
        const int64_t chunk = m_.order[place];
        const double done = (static_cast<double>(epoch_) + static_cast<double>(place) / static_cast<double>(m_.chunks)) /
                            static_cast<double>(m_.epochs);
        rate_ = static_cast<float>(m_.rate_first + (m_.rate_last - m_.rate_first) * done);
        random_ = Random(m_.seed ^ Random(static_cast<uint64_t>(chunk) * 0x100000001B3u + static_cast<uint64_t>(epoch_)).next());
        at_ = chunk * m_.chunk;
        end_ = at_ + m_.chunk < m_.count ? at_ + m_.chunk : m_.count;
        if (at_ > 0)
            while (at_ < end_ && m_.tokens[at_ - 1] >= 0) ++at_;
        inside_ = false;
        here_ = size_ = 0;
        if (m_.negative)
            for (int32_t& word : ahead_) word = draw();
        next_ = 0;
        sentence();
    }

    bool has_window() const { return here_ < size_; }

    // Move to the next window of the chunk; false at its end.
    bool next() {
        if (here_ >= size_) return false;
        position_ = here_++;
        // The window's reach is drawn evenly from 1 to `window`, which weighs near words more [M13a, section 3.2].
        const int reach = 1 + static_cast<int>(Random::below(random_.next(), m_.window));
        left_ = position_ > reach ? position_ - reach : 0;
        right_ = position_ + reach + 1 < size_ ? position_ + reach + 1 : size_;
        if (here_ == size_) {
            std::swap(kept_, last_);  // its words are still needed when the next sentence has been looked up
            words_ = last_.data();
            sentence();
        } else {
            words_ = kept_.data();
            if (fetches_) {  // the word that comes into the window, and the one that is predicted next
                if (!m_.bag_starts && here_ + m_.window < size_) fetch(m_.input, kept_[static_cast<size_t>(here_ + m_.window)]);
                if (m_.negative) fetch(m_.output, kept_[static_cast<size_t>(here_)]);
            }
        }
        return true;
    }

    const int32_t* kept() const { return words_; }
    int position() const { return position_; }
    int left() const { return left_; }
    int right() const { return right_; }
    float rate() const { return rate_; }

    // A word from the noise distribution. It was drawn some draws ago, so that its row could be fetched meanwhile.
    int32_t negative() {
        const int32_t word = ahead_[next_];
        ahead_[next_] = draw();
        if (fetches_) fetch(m_.output, ahead_[next_]);
        next_ = (next_ + 1) % kAhead;
        return word;
    }

    // The window that comes next is of the same sentence as this one.
    bool sentence_goes_on() const { return here_ > 0 && here_ < size_; }

    // Ask for the rows of the next window, which belongs to another place than the one that is worked on now.
    void fetch_window() const {
        if (here_ >= size_) return;
        if (m_.negative) {
            const int count = m_.negative < kAhead ? m_.negative : kAhead;
            for (int i = 0; i < count; ++i) fetch(m_.output, ahead_[(next_ + i) % kAhead]);
            fetch(m_.output, kept_[static_cast<size_t>(here_)]);
        }
        if (m_.bag_starts) return;
        const int reach = m_.window < 3 ? m_.window : 3;
        const int end = here_ + reach + 1 < size_ ? here_ + reach + 1 : size_;
        for (int i = here_ > reach ? here_ - reach : 0; i < end; ++i) fetch(m_.input, kept_[static_cast<size_t>(i)]);
    }

private:
    static constexpr int kAhead = 8;
    // The next sentence with at least two words left after subsampling; none at the end of the chunk.
    void sentence() {
        here_ = size_ = 0;
        while (size_ < 2) {
            if (!inside_ && at_ >= end_) {
                size_ = 0;
                return;
            }
            size_ = 0;
            inside_ = false;
            while (at_ < m_.count) {
                const int32_t word = m_.tokens[at_++];
                if (word < 0) break;
                // Subsampling of frequent words [M13b, section 2.3].
                if (static_cast<uint32_t>(random_.next() >> 32) > m_.keep[word]) continue;
                kept_[static_cast<size_t>(size_++)] = word;
                if (size_ == kLongest) {
                    inside_ = true;
                    break;
                }
            }
        }
    }

    // Vose's alias method.
    int32_t draw() {
        const uint64_t bits = random_.next();
        const int64_t word = Random::below(bits, m_.words);
        return static_cast<uint32_t>(bits) < m_.threshold[word] ? static_cast<int32_t>(word) : m_.alias[word];
    }

    void fetch(const float* table, int32_t word) const {
        const float* row = table + static_cast<int64_t>(word) * m_.stride;
        for (int64_t u = 0; u < m_.stride; u += 16) UNROLLED_PREFETCH(row + u);
    }

    const Word2vec& m_;
    const int64_t epoch_;
    const bool fetches_;
    Random random_;
    int64_t at_ = 0, end_ = 0;
    bool inside_ = false;  // the next words belong to a sentence that was cut
    std::vector<int32_t> kept_, last_;
    const int32_t* words_ = nullptr;
    int here_ = 0, size_ = 0, position_ = 0, left_ = 0, right_ = 0;
    int32_t ahead_[kAhead] = {};
    int next_ = 0;
    float rate_ = 0;
};

}  // namespace unrolled
